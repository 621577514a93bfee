"""The evidence of an agreement in one archive: complete, stamped, and nothing can be changed."""

import hashlib
import io
import json
import zipfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from typer.testing import CliRunner

from deploy.cli import app
from deploy.sandbox import keys
from deploy.verify_evidence import check, told
from services.signing.domain.errors import EvidenceKeyMissing
from services.signing.gateways.time_stamper import Stamped
from services.signing.store import evidence_package as records
from services.signing.usecases import export_evidence as exporting
from services.signing.usecases.export_evidence import export_evidence
from services.signing.usecases.take_stamps import take_stamps
from shared.evidence_bundle import BundleInvalid, File, sign, verify
from shared.ids import new_id
from tests.support.signing_builders import NOON, World

SAMPLES = 160
MIGRATION = Path(records.__file__).parent / "migrations" / "0010_evidence_package.sql"


async def fetch(shop: World, agreement: dict[str, Any]) -> bytes:
    path = f"/v1/agreements/{agreement['agreement_id']}/evidence.zip"
    answer = await shop.call("GET", path)
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "application/zip"
    assert "attachment" in answer.headers["Content-Disposition"]
    assert isinstance(answer.body, bytes)
    return answer.body


async def stamps(shop: World) -> list[asyncpg.Record]:
    async with shop.db.connection() as conn:
        return await conn.fetch("SELECT * FROM time_stamps")


@pytest.fixture
def saved(tmp_path: Path):
    def save(archive: bytes) -> Path:
        file = tmp_path / f"{new_id()}.zip"
        file.write_bytes(archive)
        return file

    return save


@pytest.fixture
def public(keys_dir: Path) -> Path:
    return keys_dir / "evidence.pub.pem"


def signing_key(keys_dir: Path) -> Ed25519PrivateKey:
    key = load_pem_private_key((keys_dir / "evidence.pem").read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def resigned(archive: bytes, keys_dir: Path, **changed: bytes) -> bytes:
    """Return *archive* with other contents, signed by the platform itself; ``x__y`` is x.y."""
    key = signing_key(keys_dir)
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        contents = {name: opened.read(name) for name in opened.namelist()}
    manifest = json.loads(contents.pop("manifest.json"))
    contents.pop("signature.json")
    contents |= {name.replace("__", "."): content for name, content in changed.items()}
    return sign(manifest, [File(name, body, 1) for name, body in contents.items()], key)


async def test_a_fresh_agreement_is_stamped_and_its_package_verifies(shop, saved, public, keys_dir):
    agreement = await shop.agreement()
    await shop.settle()

    archive = await fetch(shop, agreement)

    own = check(saved(archive), public)
    trusting = check(saved(archive), public, keys_dir / "tsa-root.crt.pem")
    manifest = own.checked.manifest
    assert manifest["agreement_id"] == agreement["agreement_id"]
    assert (manifest["made_by"], manifest["time_stamp"]) == ("signing", "granted")
    assert manifest["retention"]["class"] == "C"
    assert [line.partition(":")[0] for line in own.findings] == ["chain", "document", "time stamp"]
    assert NOON.isoformat() in own.findings[2]
    assert trusting.findings[2].endswith("that you trust")
    assert told(own).startswith(f"valid: agreement {agreement['agreement_no']}")


async def test_the_package_holds_what_proves_the_signing(shop, public, saved):
    agreement = await shop.agreement()
    await shop.settle()
    files = check(saved(await fetch(shop, agreement)), public).checked.files
    pdf = await shop.ok("GET", f"/v1/agreements/{agreement['agreement_id']}/document.pdf")

    read = {name: json.loads(body) for name, body in files.items() if name.endswith(".json")}

    assert files["agreement.pdf"] == pdf
    kinds = [entry["kind"] for entry in read["chain.json"]]
    assert {"document_shown", "signature_begun", "document_signed", "agreement_signed"} <= {*kinds}
    shown = next(entry for entry in read["chain.json"] if entry["kind"] == "document_shown")
    (preview,) = read["previews.json"]
    assert json.loads(shown["payload"])["sha256"] == preview["sha256"]
    assert preview["signed_sha256"] == hashlib.sha256(files["agreement.pdf"]).hexdigest()
    assert {one["kind"] for one in read["consents.json"]} >= {"withholding", "credit_enquiry"}
    assert all(step["done_at"] for step in read["steps.json"])
    assert read["mandates.json"][0]["state"] == "active"
    assert len(read["schedule.json"]) == agreement["periods"]
    assert read["identity_checks.json"][0]["video_reference"]
    assert len(read["time-stamp/statement.json"]["chain_head"]) == 64
    begun = next(entry for entry in read["chain.json"] if entry["kind"] == "signature_begun")
    assert {"device", "ip", "clauses_shown_ms"} <= set(json.loads(begun["payload"]))


async def test_a_change_of_any_byte_is_found(shop, saved, public, keys_dir):
    """First and last byte of every member, and a sample of all others."""
    agreement = await shop.agreement()
    await shop.settle()
    archive = await fetch(shop, agreement)
    key = signing_key(keys_dir)
    places = set(range(0, len(archive), len(archive) // SAMPLES))
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        for info in opened.infolist():
            begins = info.header_offset + 30 + len(info.filename.encode())
            middle = begins + info.file_size // 2
            places |= {begins, middle, begins + info.file_size - 1}
        members = len(opened.infolist())
    assert len(places) >= SAMPLES + 2 * members

    assert check(saved(archive), public).findings
    for place in sorted(places):
        changed = bytearray(archive)
        changed[place] ^= 1
        with pytest.raises(BundleInvalid):
            verify(bytes(changed), key.public_key())


async def test_the_command_says_what_is_broken_and_fails(shop, saved, public, keys_dir, tmp_path):
    archive = await fetch(shop, await shop.agreement())
    changed = bytearray(archive)
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        info = opened.getinfo("chain.json")
    changed[info.header_offset + 30 + len(info.filename) + 40] ^= 1
    good, bad = saved(archive), saved(bytes(changed))

    def run(*words: object):
        return CliRunner().invoke(app, ["evidence", "verify", *map(str, words)])

    assert run(good, "--key", public).exit_code == 0
    broken = run(bad, "--key", public)
    assert (broken.exit_code, broken.output.startswith("NOT VALID: ")) == (1, True)
    (tmp_path / "other").mkdir()
    keys.make_authority(tmp_path / "other")
    stranger = run(good, "--key", public, "--tsa", tmp_path / "other" / "tsa-root.crt.pem")
    assert (stranger.exit_code, "time stamp" in stranger.output) == (1, True)
    nonsense = run(good, "--key", public, "--tsa", public)
    assert (nonsense.exit_code, "no certificates" in nonsense.output) == (1, True)


async def test_what_the_platform_itself_changed_is_found_too(shop, saved, public, keys_dir):
    """Its own signature does not help against chain, document and time stamp."""
    agreement = await shop.agreement()
    await shop.settle()
    archive = await fetch(shop, agreement)
    files = check(saved(archive), public).checked.files
    chain = json.loads(files["chain.json"])
    other = json.dumps(
        [chain[0], {**chain[1], "payload": '{"x":1}'}, *chain[2:]], ensure_ascii=False
    )
    shorter = json.dumps(chain[:-1], ensure_ascii=False)
    statement = json.loads(files["time-stamp/statement.json"])
    moved = json.dumps({**statement, "chain_length": 2}, sort_keys=True, separators=(",", ":"))
    spaced = json.dumps(statement)

    cases = (
        ({"chain__json": other.encode()}, "Entry 2"),
        ({"chain__json": shorter.encode()}, "does not end"),
        ({"chain__json": b"[{}]"}, "cannot be read"),
        ({"agreement__pdf": b"%PDF-1.7"}, "not the document"),
        ({"time-stamp/statement__json": moved.encode()}, "another chain"),
        ({"time-stamp/statement__json": spaced.encode()}, "does not hold"),
        ({"time-stamp/answer__tsr": b"junk"}, "does not hold"),
    )
    assert check(saved(resigned(archive, keys_dir)), public).findings
    for changed, words in cases:
        with pytest.raises(BundleInvalid, match=words):
            check(saved(resigned(archive, keys_dir, **changed)), public)


async def test_a_signature_never_waits_for_the_authority(shop, saved, public, keys_dir):
    steps = [{"on": "stamp", "do": "outage", "times": 3}]
    await shop.sandbox("tsa", "PUT", "/_sandbox/faults/*", {"steps": steps})
    agreement = await shop.agreement()
    await shop.settle()

    assert agreement["state"] == "cooling_off"
    (row,) = await stamps(shop)
    assert (row["state"], row["problem"]) == ("asked", "provider-silent")
    early = check(saved(await fetch(shop, agreement)), public)
    assert early.findings[-1] == "time stamp: none yet"
    with pytest.raises(BundleInvalid, match="no time stamp"):
        check(saved(await fetch(shop, agreement)), public, keys_dir / "tsa-root.crt.pem")

    await shop.pass_time(seconds=5)
    await shop.pass_time(minutes=1)
    await shop.pass_time(minutes=10)

    (row,) = await stamps(shop)
    assert (row["state"], row["tries"], row["due_at"], row["problem"]) == ("granted", 4, None, "")
    assert "time stamp: none" not in check(saved(await fetch(shop, agreement)), public).findings[-1]


class Killed(BaseException):
    """The process ends here."""


class Dying:
    """An authority that stamps while our process dies."""

    async def stamp(self, statement: bytes) -> Stamped:
        raise Killed(len(statement))


async def test_killed_while_asking_it_asks_again(shop):
    steps = [{"on": "stamp", "do": "hide_answer"}]
    await shop.sandbox("tsa", "PUT", "/_sandbox/faults/*", {"steps": steps})
    await shop.agreement()
    shop.clock.advance(seconds=5)

    with pytest.raises(Killed):
        await take_stamps(replace(shop.deps, time_stamper=Dying()))
    (asked,) = await stamps(shop)
    await shop.pass_time(minutes=1)
    (granted,) = await stamps(shop)

    assert (asked["state"], asked["due_at"]) == ("asked", shop.clock.now())
    assert (granted["state"], granted["tries"]) == ("granted", 3)
    books = await shop.sandbox("tsa", "GET", "/_sandbox/books?kind=stamps", None)
    assert len(books["stamps"]) == 2  # the answer that was lost had been a stamp, too


async def test_a_granted_stamp_and_an_access_never_change(shop):
    agreement = await shop.agreement()
    await shop.settle()
    await fetch(shop, agreement)
    for statement in (
        "UPDATE time_stamps SET statement = ''",
        "DELETE FROM time_stamps",
        "UPDATE evidence_accesses SET actor = ''",
        "DELETE FROM evidence_accesses",
    ):
        with pytest.raises(asyncpg.RestrictViolationError):
            async with shop.db.transaction() as conn:
                await conn.execute(statement)


async def test_every_access_is_on_record(shop):
    agreement = await shop.agreement()
    path = f"/v1/agreements/{agreement['agreement_id']}/evidence"
    await shop.ok("GET", path)
    await fetch(shop, agreement)

    async with shop.db.connection() as conn:
        rows = await conn.fetch("SELECT * FROM evidence_accesses ORDER BY access_id")

    assert [row["taken"] for row in rows] == ["chain", "archive"]
    assert all(row["actor"].startswith("key:") and row["request_id"] for row in rows)
    assert {str(row["agreement_id"]) for row in rows} == {agreement["agreement_id"]}
    assert {row["accessed_at"] for row in rows} == {shop.clock.now()}


async def test_a_foreign_tenant_gets_nothing_and_leaves_no_access(shop):
    agreement = await shop.agreement()
    stranger = await shop.key_for(new_id(), "agreements:read")
    scopeless = await shop.key_for(UUID(agreement["merchant_id"]), "plans:read")
    path = f"/v1/agreements/{agreement['agreement_id']}/evidence.zip"

    foreign = await shop.call("GET", path, key=stranger)
    unknown = await shop.call("GET", f"/v1/agreements/{new_id()}/evidence.zip")
    odd = await shop.call("GET", "/v1/agreements/x/evidence.zip")
    refused = await shop.call("GET", path, key=scopeless)

    assert (foreign.status, foreign.body["code"]) == (404, "agreement-unknown")
    assert (unknown.status, odd.status, refused.status) == (404, 400, 403)
    async with shop.db.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM evidence_accesses") == 0


async def test_the_operator_takes_it_in_the_merchants_name(shop):
    agreement = await shop.agreement()
    headers = {"Authorization": f"Bearer {shop.operator}", "Tenant-Id": agreement["merchant_id"]}
    path = f"/v1/agreements/{agreement['agreement_id']}/evidence.zip"

    async with shop.client.get(path, headers=headers) as answer:
        assert answer.status == 200


async def test_a_long_archive_leaves_in_pieces_and_from_a_file(shop):
    agreement = await shop.agreement()
    agreement_id, merchant_id = UUID(agreement["agreement_id"]), UUID(agreement["merchant_id"])

    pieces = [
        piece
        async for piece in await export_evidence(
            shop.deps, agreement_id, merchant_id=merchant_id, actor="test", request_id="r"
        )
    ]

    assert len(pieces) > 1
    assert max(map(len, pieces)) <= exporting.PIECE
    assert b"".join(pieces) == await fetch(shop, agreement)


async def test_without_a_key_there_is_no_archive(shop):
    agreement = await shop.agreement()
    keyless = replace(shop.deps, evidence_key=None)
    with pytest.raises(EvidenceKeyMissing):
        await export_evidence(
            keyless,
            UUID(agreement["agreement_id"]),
            merchant_id=UUID(agreement["merchant_id"]),
            actor="test",
            request_id="r",
        )


async def test_what_comes_after_the_stamp_does_not_break_it(shop, saved, public):
    agreement = await shop.agreement()
    before = check(saved(await fetch(shop, agreement)), public)
    await shop.ok("POST", f"/v1/agreements/{agreement['agreement_id']}/cancellation")
    await shop.pass_time(minutes=2)

    after = check(saved(await fetch(shop, agreement)), public)

    assert after.checked.manifest["chain_length"] > before.checked.manifest["chain_length"]
    assert after.findings[2] == before.findings[2]


async def test_agreements_of_before_get_the_same_statement_from_the_migration(shop):
    steps = [{"on": "stamp", "do": "outage"}]
    await shop.sandbox("tsa", "PUT", "/_sandbox/faults/*", {"steps": steps})
    await shop.agreement()
    (fresh,) = await stamps(shop)
    backfill = MIGRATION.read_text(encoding="utf-8").partition("gets one of today.\n")[2]

    async with shop.db.transaction() as conn:
        await conn.execute("DELETE FROM time_stamps")
        await conn.execute(backfill.partition(";\n")[0])
    (old,) = await stamps(shop)
    await shop.settle()

    assert old["statement"] == fresh["statement"]
    assert [row["state"] for row in await stamps(shop)] == ["granted"]


async def test_without_an_authority_statements_rest(shop):
    steps = [{"on": "stamp", "do": "outage"}]
    await shop.sandbox("tsa", "PUT", "/_sandbox/faults/*", {"steps": steps})
    await shop.agreement()
    shop.clock.advance(seconds=5)

    assert await take_stamps(replace(shop.deps, time_stamper=None)) == 1

    (row,) = await stamps(shop)
    assert (row["problem"], row["due_at"]) == ("no-authority", shop.clock.now() + timedelta(days=7))
