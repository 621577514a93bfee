"""What a call to a rail can end in; there is no fourth way, and none of them is an exception."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from shared.errors import Unauthentic


class UnknownReason(StrEnum):
    """Why nobody can say whether the rail did what was asked."""

    TIMEOUT = "timeout"
    NOT_REACHED = "not_reached"
    DISCONNECTED = "disconnected"
    HTTP_STATUS = "http_status"
    ODD_BODY = "odd_body"
    BAD_SIGNATURE = "bad_signature"
    RAIL_UNSURE = "rail_unsure"


@dataclass(frozen=True)
class Ok:
    """
    The rail did, or accepted, what was asked, and its signature holds.

    ``data`` is the rail's own answer, field by field.  Accepted is not paid: which fields prove a
    payment depends on the call.
    """

    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """The rail said no; ``code`` is written without the prefix ``ACQ.``."""

    code: str
    message: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Unknown:
    """It may have happened; only a query or a verified notification can tell."""

    reason: UnknownReason
    detail: str = ""


Outcome = Ok | Refused | Unknown


class BadSignature(Unauthentic):
    """What came does not carry the rail's signature, or carries an old one."""

    code = "bad-signature"
