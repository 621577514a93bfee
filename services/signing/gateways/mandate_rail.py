"""What signing asks of a rail: invite the customer to sign, look, end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.signing.domain.application import Applicant
from services.signing.domain.mandate import Ended, Mandate, Told


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the mini-program hands to the rail: Alipay's ``signStr``, WeChat's ``extraData``."""

    sign_str: str = ""
    extra_data: dict[str, str] | None = None
    app_id: str = ""
    path: str = ""


class MandateRail(Protocol):
    """One rail."""

    async def invite(self, mandate: Mandate, applicant: Applicant) -> Invitation:
        """Return what the customer signs on the rail's own screen; repeats safely."""
        ...

    async def look(self, mandate: Mandate, *, now: datetime) -> Told | None:
        """Ask how a mandate stands; None if it is not signed yet or nobody can say."""
        ...

    async def end(self, mandate: Mandate, *, now: datetime) -> Ended | None:
        """End a mandate and ask whether it is gone; None if that is not sure yet."""
        ...


def understood(
    read: Callable[[Mapping[str, str]], Told | None], fields: Mapping[str, str]
) -> Told | None:
    """Return what a verified notification tells; None if a field is missing or makes no sense."""
    try:
        return read(fields)
    except (KeyError, ValueError):
        return None
