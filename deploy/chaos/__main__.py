"""``make chaos``: one billing day in peace and under fire; fails when the books differ."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from deploy.chaos.run import Options, SpoiltPeace, run
from deploy.processes import EmbeddedError
from deploy.supervisor import PlatformError

FIRST: int = 20


def _options() -> Options:
    parser = argparse.ArgumentParser(
        prog="make chaos",
        description="Lives one billing day twice: in peace, and while providers lie, services, "
        "NATS and PostgreSQL are killed, the streams are deleted and an older backup is restored. "
        "Afterwards the books must be equal to the byte. A failing SEED replays.",
        epilog="make chaos SEED=7 CHARGES=500 ARGS='--keep'",
    )
    default = Options()
    parser.add_argument(
        "--seed", type=int, default=int(os.environ.get("SEED") or default.seed),
        help="decides whom, when and how (SEED=)",
    )  # fmt: skip
    parser.add_argument(
        "--charges", type=int, default=int(os.environ.get("CHARGES") or default.charges),
        help="instalments due on the day (CHARGES=)",
    )  # fmt: skip
    parser.add_argument("--kills", type=int, default=default.kills, help="SIGKILLs in all")
    parser.add_argument(
        "--directory", type=Path, default=default.directory, help="where it all happens"
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep databases, books and logs of both days"
    )
    given = parser.parse_args()
    try:
        return Options(given.seed, given.charges, given.kills, given.directory, given.keep)
    except ValueError as error:
        parser.error(str(error))


def main() -> None:
    """Run it, say what came of it, and fail when something did."""
    options = _options()
    try:
        report = asyncio.run(run(options))
    except KeyboardInterrupt:
        sys.exit(130)
    except (PlatformError, EmbeddedError, SpoiltPeace) as error:
        sys.exit(str(error))
    wrong = report["violations"]
    assert isinstance(wrong, list)
    print(f"kills {report['kills']}\nfaults {report['faults']}")
    for line in wrong[:FIRST]:
        print(f"  ✗ {line}")
    print(f"{options.directory / 'report.json'}: {len(wrong)} violations, {report['seconds']} s")
    if wrong:
        sys.exit(f"Replay it with SEED={options.seed} CHARGES={options.charges}")


if __name__ == "__main__":
    main()
