"""The secrets of one run of the platform, made once and kept in one file that only we may read."""

import base64
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_bytes, token_urlsafe
from typing import Final

import orjson
from nacl.public import PrivateKey

from deploy.nats.accounts import BOOTSTRAP, new_seed
from deploy.schemas import AUDITOR
from deploy.topology import SERVICES
from shared.api_keys import new_token

SEALED_TO: Final = ("fulfillment", "notify")
"""Services that receive contact data sealed for them."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Passwords by database role, NATS seeds by user, keys by service, and the operator's key."""

    passwords: Mapping[str, str]
    nats_seeds: Mapping[str, str]
    sealing_private_keys: Mapping[str, str]
    sealing_public_keys: Mapping[str, str]
    field_keys: Mapping[str, str]
    index_keys: Mapping[str, str]
    operator_key: str
    superuser_password: str
    """Of the database server in the compose file; the embedded one makes its own."""


def make() -> Secrets:
    """Return new ones."""
    boxes = {name: PrivateKey.generate() for name in SEALED_TO}
    return Secrets(
        passwords={name: token_urlsafe(24) for name in (*SERVICES, AUDITOR)},
        nats_seeds={name: new_seed() for name in (*SERVICES, BOOTSTRAP)},
        sealing_private_keys={name: _base64(bytes(box)) for name, box in boxes.items()},
        sealing_public_keys={name: _base64(bytes(box.public_key)) for name, box in boxes.items()},
        field_keys={name: _base64(token_bytes(32)) for name in SERVICES},
        index_keys={name: _base64(token_bytes(32)) for name in SERVICES},
        operator_key=new_token("live"),
        superuser_password=token_urlsafe(24),
    )


def load_or_make(path: Path) -> Secrets:
    """Return the secrets kept in *path*, made now if it does not exist yet."""
    if path.exists():
        return Secrets(**orjson.loads(path.read_bytes()))
    made = make()
    write_private(path, orjson.dumps(asdict(made), option=orjson.OPT_INDENT_2))
    return made


def write_private(path: Path, text: bytes) -> None:
    """Replace *path* at once by *text*, readable by us alone."""
    fresh = path.with_name(f"{path.name}.fresh")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)
    fresh.replace(path)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
