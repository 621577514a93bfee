"""The services there are, and what each of them hears."""

from importlib import import_module
from importlib.util import find_spec
from typing import Final

from deploy.nats.accounts import Hears

SERVICES: Final = ("signing", "billing", "wallet", "fulfillment", "notify")


def present(services: tuple[str, ...] = SERVICES) -> tuple[str, ...]:
    """Return those of *services* that can be run from this source tree."""
    return tuple(
        name
        for name in services
        if find_spec(f"services.{name}") and find_spec(f"services.{name}.__main__")
    )


def hears(service: str) -> list[Hears]:
    """Return the consumers *service* reads: its table of consumers, none if it has none."""
    from shared.bus import durable

    if not (find_spec(f"services.{service}") and find_spec(f"services.{service}.consumers")):
        return []
    table = import_module(f"services.{service}.consumers").CONSUMERS
    return [Hears(on.event.publisher(), durable(service, on.event)) for on in table]
