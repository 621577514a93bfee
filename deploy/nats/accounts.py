"""
One NATS user per service, known by its key, with permissions by subject.

Only billing publishes ``billing.>``; each service reads from its own consumers and its
own inbox and nothing else.  Streams and consumers are made by the bootstrap user.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from secrets import token_bytes
from typing import Final

import nkeys

BOOTSTRAP: Final = "bootstrap"
"""The user that declares streams and consumers; it may do anything."""


@dataclass(frozen=True, slots=True)
class Hears:
    """A consumer a service reads: *durable* on *stream*."""

    stream: str
    durable: str


def new_seed() -> str:
    """Return the secret half of a new user key."""
    return bytes(nkeys.encode_seed(token_bytes(32), nkeys.PREFIX_BYTE_USER)).decode()


def public_key(seed: str) -> str:
    """Return the public half that belongs to *seed*."""
    return bytes(nkeys.from_seed(seed.encode()).public_key).decode()


def authorization(seeds: Mapping[str, str], hears: Mapping[str, Iterable[Hears]]) -> str:
    """Return the ``authorization`` block for *seeds*, by service, with public keys only."""
    users = [
        _user(public_key(seed), None if name == BOOTSTRAP else _rights(name, hears.get(name, ())))
        for name, seed in sorted(seeds.items())
    ]
    return "authorization {\n  timeout: 5\n  users: [\n" + "".join(users) + "  ]\n}\n"


def publishes(service: str, hears: Iterable[Hears]) -> list[str]:
    """Return the subjects on which *service* may publish."""
    subjects = [f"{service}.>", "ask.>", "$JS.API.INFO", f"$JS.API.STREAM.INFO.{service}"]
    for one in hears:
        subjects += [
            f"$JS.API.CONSUMER.INFO.{one.stream}.{one.durable}",
            f"$JS.API.CONSUMER.MSG.NEXT.{one.stream}.{one.durable}",
            f"$JS.ACK.{one.stream}.{one.durable}.>",
            f"$JS.ACK.*.*.{one.stream}.{one.durable}.>",
        ]
    return subjects


def subscribes(service: str) -> list[str]:
    """Return the subjects *service* may listen to: its own inbox, and questions put to it."""
    return [f"_INBOX_{service}.>", f"ask.{service}.>"]


def _rights(service: str, hears: Iterable[Hears]) -> tuple[list[str], list[str]]:
    return publishes(service, hears), subscribes(service)


def _user(key: str, rights: tuple[list[str], list[str]] | None) -> str:
    if rights is None:
        return f"    {{ nkey: {key} }}\n"
    publish, subscribe = rights
    return (
        f"    {{ nkey: {key}, permissions: {{\n"
        f"        publish: {{ allow: [{_quoted(publish)}] }}\n"
        f"        subscribe: {{ allow: [{_quoted(subscribe)}] }}\n"
        f"        allow_responses: true\n"
        f"    }} }}\n"
    )


def _quoted(subjects: Sequence[str]) -> str:
    return ", ".join(f'"{subject}"' for subject in subjects)
