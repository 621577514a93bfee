"""The table that the endpoints are declared in, and what they share."""

from typing import Final

from services.signing.deps import Deps
from shared.web import Api, Call

api: Final[Api[Deps]] = Api(
    title="Yuefu signing",
    version="1",
    description="Merchants, plans, applications and agreements, for the mini-program's gateway.",
)


def actor(call: Call[Deps]) -> str:
    """Return who is written into histories: the key, never a person's name."""
    return f"key:{call.caller.key_id}"
