"""
Writes the frozen schema of events that have none yet: `python -m deploy.freeze`.

A schema that stands already is never rewritten here: a changed promise is either an
added optional field, which a person writes into the file knowingly, or a new version.
"""

import json
import sys
from importlib import import_module
from pathlib import Path

from deploy.topology import SERVICES
from shared.asyncapi import schema_of
from shared.events import Event

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Freeze what is new and name it."""
    for service in SERVICES:
        contract = import_module(f"services.{service}.contract")
        for name in contract.__all__:
            event = getattr(contract, name)
            if isinstance(event, type) and issubclass(event, Event):
                _freeze(event)


def _freeze(event: type[Event]) -> None:
    path = ROOT / "services" / event.publisher() / "contract/frozen" / f"{event.subject}.json"
    if path.exists():
        return
    path.parent.mkdir(exist_ok=True)
    text = json.dumps(schema_of(event), ensure_ascii=False, indent=2, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(f"frozen {event.subject}\n")


if __name__ == "__main__":
    main()
