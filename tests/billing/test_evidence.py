"""Evidence of an agreement: complete, the same each time, and no byte of it can be changed."""

import csv
import io
import json
import subprocess
import sys
import zipfile
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from typer.testing import CliRunner

from deploy.cli import app
from services.billing.domain.claim import ClaimKind
from services.billing.domain.errors import AgreementUnknown
from services.billing.domain.evidence import HEADINGS, TITLES, files_of
from services.billing.domain.task import Outcome
from services.billing.store import evidence
from services.billing.store.evidence import SECTIONS
from services.billing.usecases.export_evidence import export_evidence
from services.billing.usecases.handle_claims import Report, open_claim
from shared.evidence_bundle import (
    BundleInvalid,
    File,
    key_id,
    pack,
    sign,
    verify,
)
from shared.ids import derived_id, new_id
from tests.support.billing_builders import MERCHANT
from tests.support.billing_world import BillingWorld
from tests.support.dunning_life import at_hour, misses, pay, report, tasks_of

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key()


def a_bundle() -> bytes:
    files = [File("b.json", b"[1]\n", 1), File("a.json", b"[]\n", 0)]
    return sign({"agreement_no": "AG1", "made_at": "2027-01-01"}, files, KEY)


def without(archive: bytes, name: str) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {one: opened.read(one) for one in opened.namelist() if one != name}


def test_the_same_content_gives_the_same_bytes():
    assert a_bundle() == a_bundle()
    assert verify(a_bundle(), PUBLIC).files == {"a.json": b"[]\n", "b.json": b"[1]\n"}


def test_a_change_of_any_byte_is_found():
    good = a_bundle()
    for place in range(len(good)):
        changed = bytearray(good)
        changed[place] ^= 1
        with pytest.raises(BundleInvalid):
            verify(bytes(changed), PUBLIC)


@pytest.mark.parametrize("cut", [1, 7, 100])
def test_an_archive_cut_short_or_longer_is_found(cut):
    good = a_bundle()
    for wrong in (good[:-cut], good[cut:], good + bytes(cut), bytes(cut) + good, b""):
        with pytest.raises(BundleInvalid):
            verify(wrong, PUBLIC)


def test_a_file_taken_away_put_in_or_changed_is_found_by_its_name():
    good = a_bundle()
    added = without(good, "") | {"c.json": b"[]\n"}
    changed = without(good, "") | {"b.json": b"[2]\n"}
    for wrong, name in (
        (without(good, "b.json"), "b.json"),
        (added, "c.json"),
        (changed, "b.json"),
    ):
        with pytest.raises(BundleInvalid, match=name):
            verify(pack(wrong), PUBLIC)


def test_another_key_and_a_signature_of_something_else_are_found():
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    with pytest.raises(BundleInvalid, match=key_id(stranger.public_key())):
        verify(a_bundle(), stranger.public_key())

    other = sign({"agreement_no": "AG2", "made_at": "2027-01-01"}, [], KEY)
    signature = without(other, "manifest.json")["signature.json"]
    mixed = without(a_bundle(), "") | {"signature.json": signature}
    with pytest.raises(BundleInvalid, match="not signed"):
        verify(pack(mixed), PUBLIC)


async def a_quarrel(world: BillingWorld) -> UUID:
    """Live a missed period with a call, a claim and a late payment."""
    agreement = await misses(world, days=3, periods=2)
    (task,) = await tasks_of(world, agreement)
    await at_hour(world, 11, days=1)
    await report(world, task, Outcome.REACHED)
    await world.faulty("alipay")
    await pay(world, agreement)
    row = await world.instalment(agreement)
    told = Report(new_id(), ClaimKind.DISPUTE, agreement, row.instalment_id, "not_me", "staff-7")
    async with world.db.transaction() as conn:
        await open_claim(conn, world.deps, MERCHANT, told)
    return agreement


def public_key(world: BillingWorld) -> Ed25519PublicKey:
    assert world.deps.evidence_key is not None
    return world.deps.evidence_key.public_key()


async def test_a_bundle_holds_everything_on_record(world):
    agreement = await a_quarrel(world)

    checked = verify(await export_evidence(world.deps, MERCHANT, agreement), public_key(world))

    manifest = checked.manifest
    records = {entry["name"]: entry["records"] for entry in manifest["files"]}
    assert (manifest["agreement_id"], manifest["made_by"]) == (str(agreement), "billing")
    assert {records[f"{name}.json"] for name in ("agreement", "dunning_cases", "claims")} == {1}
    assert records["schedule.json"] == 2
    assert records["schedule_lines.json"] >= 2
    assert records["attempts.json"] == 4  # three declined, one paid by link
    assert records["contacts.json"] == 2  # a reminder and a call
    assert records["tasks.json"] == 2  # the call, and the answer to the dispute
    assert records["notices.json"] >= 4
    assert records["history.json"] > 5
    assert {one["service"] for one in manifest["elsewhere"]} == {
        "wallet",
        "signing",
        "notify",
        "fulfillment",
    }
    for name, content in checked.files.items():
        if name.endswith(".json"):
            assert len(json.loads(content)) == records[name]


async def test_tables_for_people_are_chinese_and_open_in_a_spreadsheet(world):
    agreement = await a_quarrel(world)
    checked = verify(await export_evidence(world.deps, MERCHANT, agreement), public_key(world))

    rows = list(csv.DictReader(io.StringIO(checked.files["csv/期数计划.csv"].decode("utf-8-sig"))))

    assert [row["期"] for row in rows] == ["1", "2"]
    assert {row["金额(元)"] for row in rows} == {"199.00"}
    assert rows[0]["状态"] == "paid"
    assert {name for name in checked.files if name.startswith("csv/")} == {
        f"csv/{title}.csv" for title in TITLES.values()
    }


async def test_the_bundle_tells_nothing_personal_and_no_secret(world):
    agreement = await a_quarrel(world)
    bundle = await export_evidence(world.deps, MERCHANT, agreement)
    row = await world.instalment(agreement)

    assert row.pay_token.encode() not in bundle
    assert b"payer_no" not in bundle


async def test_exports_differ_by_their_moment_only(world):
    agreement = await a_quarrel(world)
    first = await export_evidence(world.deps, MERCHANT, agreement)
    assert await export_evidence(world.deps, MERCHANT, agreement) == first

    world.clock.set(world.clock.now() + timedelta(minutes=1))
    later = await export_evidence(world.deps, MERCHANT, agreement)

    one, two = verify(first, public_key(world)), verify(later, public_key(world))
    assert one.files == two.files
    assert {key for key in one.manifest if one.manifest[key] != two.manifest[key]} == {"made_at"}


async def test_every_column_has_a_heading_and_every_section_a_title(world):
    agreement = await a_quarrel(world)
    async with world.db.transaction() as conn:
        found = await evidence.read(conn, agreement)

    assert set(found) == set(SECTIONS) == set(TITLES)
    assert {name for rows in found.values() for row in rows for name in row} <= set(HEADINGS)
    assert len(files_of(found)) == 2 * len(SECTIONS)


async def test_a_foreign_agreement_is_unknown(world):
    agreement = await world.signed(periods=1)
    for merchant, asked in ((derived_id("other"), agreement), (MERCHANT, new_id())):
        with pytest.raises(AgreementUnknown):
            await export_evidence(world.deps, merchant, asked)


async def test_a_bundle_is_verified_without_the_platform(world, keys_dir: Path, tmp_path: Path):
    agreement = await world.signed(periods=1)
    good, bad = tmp_path / "good.zip", tmp_path / "bad.zip"
    bundle = bytearray(await export_evidence(world.deps, MERCHANT, agreement))
    good.write_bytes(bundle)
    bundle[len(bundle) // 2] ^= 1
    bad.write_bytes(bundle)
    key = str(keys_dir / "evidence.pub.pem")

    told = CliRunner().invoke(app, ["evidence", "verify", str(good), "--key", key])
    assert (told.exit_code, told.output[:6]) == (0, "valid:")
    for wrong in (
        ["evidence", "verify", str(bad), "--key", key],
        ["evidence", "verify", str(good), "--key", str(keys_dir / "alipay.pub.pem")],
        ["evidence", "verify", str(tmp_path / "none.zip"), "--key", key],
    ):
        assert CliRunner().invoke(app, wrong).exit_code == 1

    command = [sys.executable, "-m", "deploy.verify_evidence"]
    for file, code in ((good, 0), (bad, 1)):
        done = subprocess.run(  # noqa: ASYNC221 - short, and nothing else runs
            [*command, str(file), "--key", key], capture_output=True, check=False
        )
        assert done.returncode == code
