"""
The part of requirements.lock that a running service needs, for the image.

``python -m deploy.runtime_lock`` prints it: the dependencies of pyproject.toml and what came
in through them, with their hashes; no test tools, no embedded servers.
"""

import re
import tomllib
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parent.parent
_ENTRY: Final = re.compile(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==", re.MULTILINE)
_VIA: Final = re.compile(r"^ {4}#(?: {3}| via )(?!via$)([a-z0-9._-]+)", re.MULTILINE)


def runtime_part(lock: str, wanted: set[str]) -> str:
    """Return the entries of *lock* for *wanted* and whatever they brought in."""
    starts = [match.start() for match in _ENTRY.finditer(lock)]
    entries = [lock[begin:end] for begin, end in zip(starts, [*starts[1:], len(lock)], strict=True)]
    via = {_name(entry): set(_VIA.findall(entry)) for entry in entries}
    kept: set[str] = {_plain(name) for name in wanted}
    while more := {name for name, parents in via.items() if parents & kept} - kept:
        kept |= more
    return "".join(entry for entry in entries if _name(entry) in kept)


def wanted_by(pyproject: str) -> set[str]:
    """Return the names of the project's own dependencies."""
    requirements = tomllib.loads(pyproject)["project"]["dependencies"]
    return {re.split(r"[\[<>=!~; ]", requirement)[0] for requirement in requirements}


def _name(entry: str) -> str:
    match = _ENTRY.match(entry)
    assert match is not None
    return _plain(match[1])


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Print the part."""
    wanted = wanted_by((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lock = (_ROOT / "requirements.lock").read_text(encoding="utf-8")
    print(runtime_part(lock, wanted), end="")


if __name__ == "__main__":
    main()
