"""``python -m deploy.demo``: a year of the platform in minutes."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from deploy.clock import NeverQuiet
from deploy.demo.lives import MINIMUM
from deploy.demo.run import Options, run
from deploy.demo.words import Language
from deploy.supervisor import PlatformError


def options_of(arguments: list[str] | None = None) -> Options:
    """Return what the command line and the environment ask for."""
    parser = argparse.ArgumentParser(prog="deploy.demo", description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path("var/demo"))
    parser.add_argument(
        "--lang",
        type=Language,
        choices=list(Language),
        default=os.environ.get("DEMO_LANG", "zh"),
        help="language of the story (or DEMO_LANG)",
    )
    parser.add_argument("--customers", type=int, default=MINIMUM, help=f"{MINIMUM} or more")
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument(
        "--kill",
        default=os.environ.get("DEMO_KILL", ""),
        help="a service to kill in the middle of its work, three times (or DEMO_KILL)",
    )
    parser.add_argument("--keep", action="store_true", help="leave the platform up at the end")
    given = parser.parse_args(arguments)
    try:
        return Options(
            directory=given.directory,
            language=Language(given.lang),
            customers=given.customers,
            months=given.months,
            kill=given.kill,
            keep=given.keep,
        )
    except ValueError as error:
        parser.error(str(error))


def main() -> None:
    """Run the demo; the exit code says whether everything agreed."""
    try:
        report = asyncio.run(run(options_of()))
    except KeyboardInterrupt:
        sys.exit(130)
    except (PlatformError, NeverQuiet) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    sys.exit(0 if report["ok"] else 1)


if __name__ == "__main__":
    main()
