"""The operator's command: `yuefu --help`."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import aiohttp
import asyncpg
import typer

from deploy import audit as audits
from deploy import stories
from deploy import verify_evidence as evidence
from deploy.clock import NeverQuiet
from deploy.explain import Story
from deploy.running import NoPlatform, RunningPlatform
from shared.api_keys import new_token
from shared.clock import SystemClock
from shared.evidence_bundle import BundleInvalid

UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
ERROR_SHOWN: Final = 200
"""How much of an error one line of a list shows."""

app = typer.Typer(
    help="Look into a running platform and move its test clock.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
clock_app = typer.Typer(help="The test clock of the sandbox.", no_args_is_help=True)
letters_app = typer.Typer(help="Events that could not be applied.", no_args_is_help=True)
outbox_app = typer.Typer(help="Events that were published.", no_args_is_help=True)
keys_app = typer.Typer(help="Keys of gateways and merchants.", no_args_is_help=True)
evidence_app = typer.Typer(help="Signed bundles of evidence.", no_args_is_help=True)
app.add_typer(clock_app, name="clock")
app.add_typer(evidence_app, name="evidence")
app.add_typer(keys_app, name="keys")
app.add_typer(letters_app, name="deadletters")
app.add_typer(outbox_app, name="outbox")

Where = Annotated[
    Path | None,
    typer.Option("--platform", help="A platform.json; the newest below var/ if not given."),
]


class NoTestClock(Exception):
    """Time was to be moved on a platform that lives by the machine's clock."""


@clock_app.command("now")
def clock_now(platform: Where = None) -> None:
    """Say what time it is on the platform."""

    async def read() -> datetime:
        running = RunningPlatform.read(platform)
        if not running.test_clock:
            return SystemClock().now()
        async with running.clock() as clock:
            return await clock.now()

    typer.echo(_run(read()).isoformat())


@clock_app.command("advance")
def clock_advance(
    by: Annotated[str, typer.Argument(help="How far: 30d, 12h, 90m, 2w, or an ISO instant.")],
    platform: Where = None,
) -> None:
    """Live through time: from one due moment to the next, with everything that is due."""

    async def live() -> tuple[datetime, int]:
        running = RunningPlatform.read(platform)
        if not running.test_clock:
            raise NoTestClock(
                "This platform runs on the machine's clock, which nobody can move; "
                'for a test clock: make run ARGS="--now 2026-12-01T09:00".'
            )
        async with running.clock() as clock:
            target = _target(await clock.now(), by)
            with typer.progressbar(length=1000, label=f"to {target:%Y-%m-%d %H:%M}Z") as bar:
                start = await clock.now()
                whole = max((target - start).total_seconds(), 1)

                def show(moment: datetime) -> None:
                    done = int(1000 * (moment - start).total_seconds() / whole)
                    bar.update(done - bar.pos)

                await clock.advance(target, on_step=show)
            return target, clock.steps

    moment, steps = _run(live())
    typer.echo(f"It is {moment.isoformat()} now; {steps} moments had something due.")


@app.command()
def explain(
    any_id: Annotated[
        UUID,
        typer.Argument(
            help="An instalment, agreement, charge, refund, settlement, redemption, shipment, "
            "hold, or anything wallet booked for."
        ),
    ],
    platform: Where = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell the whole story behind an id, from every service: notices, attempts, money, parcel."""

    async def tell() -> Story:
        return await stories.explain(RunningPlatform.read(platform), any_id)

    found = _run(tell())
    typer.echo(json.dumps(found.as_dict(), ensure_ascii=False) if as_json else found.text())


@app.command()
def audit(
    platform: Where = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    again_after_s: Annotated[
        float,
        typer.Option("--again-after", min=0, help="Seconds to a second look; 0 for one look."),
    ] = audits.LOOK_AGAIN_AFTER_S,
) -> None:
    """Compare the books of rails, services and providers; fail when they differ."""

    async def compare() -> list[audits.Finding]:
        return await audits.audit(RunningPlatform.read(platform), again_after_s=again_after_s)

    findings = _run(compare())
    if as_json:
        typer.echo(json.dumps([finding.as_dict() for finding in findings], ensure_ascii=False))
    else:
        for finding in findings:
            typer.echo(f"{'ok  ' if finding.ok else 'FAIL'} {finding.check}: {finding.detail}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@evidence_app.command("verify")
def verify_bundle(
    file: Annotated[Path, typer.Argument(help="The archive.")],
    key: Annotated[Path, typer.Option(help="The platform's public key, PEM.")],
    tsa: Annotated[
        Path | None, typer.Option(help="Authorities whose time stamps count, PEM.")
    ] = None,
) -> None:
    """Check a bundle without the platform; fail if any byte of it was changed."""
    try:
        typer.echo(evidence.told(evidence.check(file, key, tsa)))
    except (BundleInvalid, OSError) as error:
        typer.echo(f"NOT VALID: {error}", err=True)
        raise typer.Exit(1) from error


@letters_app.command("list")
def list_letters(
    service: Annotated[str | None, typer.Argument(help="One service; all if not given.")] = None,
    platform: Where = None,
) -> None:
    """List dead letters that wait, oldest first."""

    async def read() -> list[tuple[str, dict[str, Any]]]:
        return [pair async for pair in _letters(RunningPlatform.read(platform), service)]

    letters = _run(read())
    for name, letter in letters:
        why = " ".join(letter["error"].split())[:ERROR_SHOWN]
        typer.echo(f"{letter['dead_letter_id']}  {name}  {letter['subject']}  {why}")
    typer.echo(f"{len(letters)} waiting")


@letters_app.command("replay")
def replay_letters(
    dead_letter_id: Annotated[
        UUID | None, typer.Argument(help="One dead letter; all that wait if not given.")
    ] = None,
    service: Annotated[str | None, typer.Option(help="Only this service.")] = None,
    platform: Where = None,
) -> None:
    """Apply dead letters again; those that fail again keep waiting."""

    async def replay() -> tuple[int, int]:
        running = RunningPlatform.read(platform)
        done = failed = 0
        async with _operator(running) as session:
            async for name, letter in _letters(running, service):
                if dead_letter_id and letter["dead_letter_id"] != str(dead_letter_id):
                    continue
                path = f"/ops/dead-letters/{letter['dead_letter_id']}/replay"
                async with session.post(running.services[name] + path, json={}) as answer:
                    done += answer.ok
                    failed += not answer.ok
        return done, failed

    done, failed = _run(replay())
    typer.echo(f"{done} applied, {failed} failed again")
    if failed or (dead_letter_id and not done):
        raise typer.Exit(1)


@outbox_app.command("replay")
def replay_outbox(
    service: Annotated[str, typer.Argument(help="Whose events.")],
    subject: Annotated[str, typer.Option(help="A subject; % stands for any text.")] = "%",
    since: Annotated[int, typer.Option(help="Only after this row of the outbox.")] = 0,
    platform: Where = None,
) -> None:
    """Publish events again, e.g. after a stream was lost; readers apply each once."""

    async def replay() -> int:
        running = RunningPlatform.read(platform)
        if service not in running.services:
            raise typer.BadParameter(f"no such service: {service}")
        async with _operator(running) as session:
            url = f"{running.services[service]}/ops/outbox/replay"
            async with session.post(url, json={"subject": subject, "since_seq": since}) as answer:
                answer.raise_for_status()
                return int((await answer.json())["events"])

    typer.echo(f"{_run(replay())} events will be published again")


@keys_app.command("issue")
def issue_key(
    scope: Annotated[list[str], typer.Option(help="What it may do; repeat for several.")],
    name: Annotated[str, typer.Option(help="Who holds it.")],
    tenant: Annotated[
        UUID | None, typer.Option(help="The merchant whose data it opens; none: an operator's.")
    ] = None,
    platform: Where = None,
) -> None:
    """Make a key, let every service know it, and print it: nobody can read it later."""
    token = new_token("live")
    body = {
        "token": token,
        "tenant_id": str(tenant) if tenant else None,
        "scopes": scope,
        "name": name,
    }

    async def issue() -> None:
        running = RunningPlatform.read(platform)
        async with _operator(running) as session:
            for url in running.services.values():
                async with session.post(f"{url}/ops/api-keys", json=body) as answer:
                    answer.raise_for_status()

    _run(issue())
    typer.echo(token)


@keys_app.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="The 16 digits after yf_live_.")],
    platform: Where = None,
) -> None:
    """Let a key in no more; services may remember it for half a minute."""

    async def revoke() -> int:
        running = RunningPlatform.read(platform)
        known = 0
        async with _operator(running) as session:
            for url in running.services.values():
                async with session.delete(f"{url}/ops/api-keys/{key_id}") as answer:
                    known += answer.ok
        return known

    if not _run(revoke()):
        typer.echo("No service knows this key.", err=True)
        raise typer.Exit(1)


async def _letters(
    running: RunningPlatform, only: str | None
) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    if only is not None and only not in running.services:
        raise typer.BadParameter(f"no such service: {only}")
    async with _operator(running) as session:
        for name in [only] if only else list(running.services):
            cursor: str | None = ""
            while cursor is not None:
                url = f"{running.services[name]}/ops/dead-letters?limit=200"
                async with session.get(url + (f"&cursor={cursor}" if cursor else "")) as answer:
                    answer.raise_for_status()
                    page = await answer.json()
                for letter in page["items"]:
                    yield name, letter
                cursor = page["next_cursor"]


@asynccontextmanager
async def _operator(running: RunningPlatform) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bearer {running.operator_key}"}
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        yield session


def _target(now: datetime, by: str) -> datetime:
    if found := re.fullmatch(r"(\d{1,5})([mhdw])", by):
        return now + timedelta(**{UNITS[found[2]]: int(found[1])})
    try:
        target = datetime.fromisoformat(by)
    except ValueError as error:
        raise typer.BadParameter(f"{by!r} is neither like 30d, 12h, 90m nor an instant") from error
    if target.tzinfo is None or target < now:
        raise typer.BadParameter("the instant must have a time zone and lie in the future")
    return target


def _run(work: Any) -> Any:
    """Run *work*, and say in one line what went wrong."""
    try:
        return asyncio.run(work)
    except (NoPlatform, NoTestClock, NeverQuiet, stories.UnknownId) as error:
        typer.echo(str(error), err=True)
    except aiohttp.ClientResponseError as error:
        typer.echo(f"{error.request_info.url} answered {error.status} {error.message}", err=True)
    except (aiohttp.ClientError, asyncpg.PostgresError, OSError) as error:
        typer.echo(f"The platform does not answer: {error!r}", err=True)
    raise typer.Exit(2)


if __name__ == "__main__":
    app(prog_name="yuefu")
