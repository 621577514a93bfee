"""The year itself: stage, signing, twelve months by the test clock, audit, story."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

import aiohttp

from deploy.audit import Figures, Finding, audit, figures
from deploy.clock import TestClockDriver
from deploy.demo import stage
from deploy.demo.acts import Troupe, act, everybody_signs
from deploy.demo.kills import KILL_DAYS, killing
from deploy.demo.lives import BEGIN, Life, lives, moments
from deploy.demo.people import Phones
from deploy.demo.progress import Progress, stopwatch, watching
from deploy.demo.report import Report, compose, write
from deploy.demo.story import read_happenings, tell
from deploy.demo.verdict import judge
from deploy.demo.words import Language, say
from deploy.platform import Platform
from deploy.running import RunningPlatform
from deploy.topology import SERVICES
from shared.calendar import at_in_china, day_in_china, month_day
from shared.money import yuan

QUICK: Final = {"JOB_PAUSE_S": "0.015", "BUS_RETRY_S": "[0.1,0.3,1,3,10,30]"}
"""Real waits that stand still in business time are kept short."""

WHOLE_YEAR: Final = 12
"""Months after which the table of lives says what must have come of each."""


@dataclass(frozen=True, slots=True)
class Options:
    """How the demo is run."""

    directory: Path = Path("var/demo")
    language: Language = Language.ZH
    customers: int = 24
    months: int = 12
    kill: str = ""
    keep: bool = False

    def __post_init__(self) -> None:
        """
        Check the options.

        Raises:
            ValueError: There is no such service, or too few months or customers.
        """
        if self.kill and self.kill not in SERVICES:
            raise ValueError(f"DEMO_KILL names one of {', '.join(SERVICES)}")
        if self.months < 1:
            raise ValueError("At least one month")
        lives(self.customers)

    @property
    def end(self) -> datetime:
        """Return the moment at which the year is over."""
        day = day_in_china(BEGIN)
        return at_in_china(month_day(day, self.months, day=day.day), 9)


async def run(options: Options) -> Report:
    """Live the demo, tell it, write the report, and return it."""
    seconds = stopwatch()
    print(say(options.language, "switch"))
    async with _platform(options) as platform, _session() as session:
        running = RunningPlatform.read(platform.state_file)
        driver = TestClockDriver(
            session, running.participants(), nats_monitor_url=running.nats_monitor_url
        )
        cast = lives(options.customers)
        progress = Progress(options.language, BEGIN, options.months)
        troupe, code = await _prepare(options, platform, session, running, driver)
        async with (
            watching(progress, running.auditor_dsn),
            killing(options.kill, platform, progress) as kills,
        ):
            await _live(options, troupe, cast, driver, progress)
        ended = Ended(cast, troupe, code, progress.steps, tuple(kills))
        report = await _close(options, running, ended, seconds)
        if options.keep:
            print(say(options.language, "kept"))
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
    return report


@asynccontextmanager
async def _platform(options: Options) -> AsyncIterator[Platform]:
    """Run a platform in a fresh directory, all processes as quick as the clock lets them."""
    Platform(options.directory).end_leftovers()
    shutil.rmtree(options.directory, ignore_errors=True)
    quick = {
        name: {f"{name.upper()}_{key}": text for key, text in QUICK.items()} for name in SERVICES
    }
    quick["fulfillment"] |= {
        "FULFILLMENT_JUSHUITAN_CALLS_PER_SECOND": "0",
        "FULFILLMENT_JUSHUITAN_CALLS_PER_MINUTE": "0",
    }
    quick["providers"] = {
        "SANDBOX_JST_CALLS_PER_SECOND": "0",
        "SANDBOX_JST_CALLS_PER_MINUTE": "0",
        # Receipts at once, even before the answer: as providers do, and fewer steps to live.
        "SANDBOX_SMS_RECEIPT_AFTER_S": "0",
        "SANDBOX_WECHAT_RECEIPT_AFTER_S": "0",
    }
    async with Platform(options.directory, now=BEGIN, extra_env=quick, fsync=False) as platform:
        yield platform


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))


async def _prepare(
    options: Options,
    platform: Platform,
    session: aiohttp.ClientSession,
    running: RunningPlatform,
    driver: TestClockDriver,
) -> tuple[Troupe, str]:
    print(say(options.language, "stage"))
    built = await stage.build(platform, session)
    code = await stage.refused_rail(built)
    print(say(options.language, "refused_rail", code=code))
    await driver.quiet()
    print(say(options.language, "signing", n=options.customers))
    return Troupe(built, Phones(session, running.simulators)), code


async def _live(
    options: Options,
    troupe: Troupe,
    cast: Sequence[Life],
    driver: TestClockDriver,
    progress: Progress,
) -> None:
    """Move from one moment of the table to the next; between them the platform lives alone."""
    for moment in moments(cast):
        if moment >= options.end:
            break
        await driver.advance(moment, on_step=progress.step)
        await everybody_signs(troupe, [life for life in cast if life.signs_at == moment])
        for life in cast:
            for what in life.acts:
                if what.when == moment:
                    await act(troupe, life, what)
    await driver.advance(options.end, on_step=progress.step)


@dataclass(frozen=True, slots=True)
class Ended:
    """How the year went, beside what the platform has on record."""

    cast: Sequence[Life]
    troupe: Troupe
    refused_rail: str
    steps: int
    kills: tuple[date, ...]


async def _close(
    options: Options, running: RunningPlatform, ended: Ended, seconds: Callable[[], float]
) -> Report:
    """Audit, tell, report."""
    language = options.language
    print(say(language, "auditing"))
    verdicts = (
        await judge(running, ended.cast, ended.troupe.agreements)
        if options.months == WHOLE_YEAR
        else {}
    )
    findings = [*await audit(running), *verdicts.values(), *_own_findings(options, ended)]
    counted = await figures(running)
    await _tell_lives(language, running, ended, verdicts)
    _print_books(language, counted)
    _print_audit(language, findings)
    report = compose(counted, findings, seconds=seconds(), months=options.months)
    path = options.directory / "report.json"
    write(report, path)
    print(say(language, "took", seconds=report["seconds"], steps=ended.steps))
    print(say(language, "report", path=path))
    print(say(language, "all_ok" if report["ok"] else "failed"))
    return report


async def _tell_lives(
    language: Language, running: RunningPlatform, ended: Ended, verdicts: Mapping[str, Finding]
) -> None:
    happenings = await read_happenings(running)
    print(f"\n{say(language, 'lives')}")
    for life in ended.cast:
        agreement = ended.troupe.agreements.get(life.key, {})
        told = happenings.get(str(agreement.get("agreement_id")), ())
        refused = ended.troupe.refusals.get(life.key, "")
        print("\n".join(tell(language, life, told, refused=refused)))
        if life.key in verdicts:
            verdict = verdicts[life.key]
            text = (
                say(language, "ok") if verdict.ok else say(language, "not_ok", why=verdict.detail)
            )
            print(f"    {'✓' if verdict.ok else '✗'} {text}")


def _own_findings(options: Options, ended: Ended) -> list[Finding]:
    """Check that what must be refused was, and that whom to kill was killed."""
    wanted = [life.key for life in ended.cast if life.refused_first is not None]
    wrong = [key for key in wanted if ended.troupe.refusals.get(key) != "charge-day-not-on-rail"]
    if ended.refused_rail != "rail-not-for-merchant":
        wrong.append(f"individual business: {ended.refused_rail or 'admitted'}")
    found = [
        Finding("refusals", ok=not wrong, detail=", ".join(wrong) or f"{len(wanted) + 1} agree")
    ]
    if options.kill:
        days = ", ".join(map(str, ended.kills)) or "never"
        due = [day for day in KILL_DAYS if at_in_china(day, 0) < options.end]
        found.append(
            Finding(
                f"{options.kill} killed while busy",
                ok=len(ended.kills) == len(due),
                detail=days,
            )
        )
    return found


def _print_books(language: Language, counted: Figures) -> None:
    rows = {
        "row_agreements": _states(counted.agreements),
        "row_charges": (
            f"{counted.charges_collected} / {counted.failed_attempts} / {counted.unknown_resolved}"
        ),
        "row_rails": _net(counted.captured_fen, counted.refunded_fen),
        "row_wallet": _net(counted.credited_fen, counted.wallet_refunded_fen),
        "row_doubles": str(counted.double_captures),
        "row_shipments": _states(counted.shipments),
        "row_notices": (
            f"{counted.notices_required} / {counted.notices_proven}"
            f" / {counted.charges_without_proof}"
        ),
        "row_messages": f"{counted.messages_sent} / {counted.messages_duplicates}",
    }
    print(f"\n{say(language, 'books')}")
    for name, text in rows.items():
        print(f"    {say(language, name)}: {text}")


def _print_audit(language: Language, findings: Sequence[Finding]) -> None:
    print(f"\n{say(language, 'audit')}")
    for finding in findings:
        print(f"    {'✓' if finding.ok else '✗'} {finding.check}: {finding.detail}")
    print()


def _net(come_fen: int, gone_fen: int) -> str:
    return f"{yuan(come_fen)} − {yuan(gone_fen)} = {yuan(come_fen - gone_fen)}"


def _states(by_state: object) -> str:
    assert isinstance(by_state, dict)
    return ", ".join(f"{state} {count}" for state, count in sorted(by_state.items()))
