"""Alipay mini-program messages (alipay.open.app.mini.templatemessage.send)."""

from datetime import datetime
from typing import Final, assert_never

from services.notify.contract.states import Channel
from services.notify.domain.provider import (
    Accepted,
    Answer,
    CannotTell,
    Finding,
    Letter,
    Refused,
    Tracking,
    Trouble,
    Unclear,
)
from shared.rails.alipay import AlipayClient
from shared.rails.alipay_calls import send_template_message
from shared.rails.outcome import Ok, Outcome, Unknown, UnknownReason
from shared.rails.outcome import Refused as RailRefused

NAME: Final = "alipay"

_RECIPIENT: Final = frozenset(
    {"FORM_ID_OVER_TIME", "FORM_ID_NOT_MATCH_APPID", "TRADE_NO_NOT_MATCH_USERID",
     "USER_NOT_EXIST", "USER_REFUSE"}
)  # fmt: skip
_RATE: Final = frozenset({"40005"})


class AlipayMessages:
    """Sends template messages; Alipay answers without a number and sends no receipts."""

    name = NAME
    channel = Channel.MINI_PROGRAM
    tracking = Tracking.NONE

    def __init__(self, client: AlipayClient) -> None:
        """Send as the app that *client* calls for."""
        self._client = client

    async def send(self, letter: Letter) -> Answer:
        """Send one message; it is known at Alipay only by our own number."""
        outcome = await send_template_message(
            self._client,
            user_id=letter.recipient,
            template_id=letter.template_code,
            page=letter.page,
            keywords=[value for _, value in letter.fields],
        )
        return _answer(outcome, letter)

    async def look_up(self, letter: Letter, *, submitted_at: datetime) -> Finding:
        """Say that Alipay cannot be asked."""
        del letter, submitted_at
        return CannotTell("no_query")


def _answer(outcome: Outcome, letter: Letter) -> Answer:
    match outcome:
        case Ok():
            return Accepted(f"out:{letter.out_id}")
        case RailRefused(code):
            return Refused(_trouble(code), code)
        case Unknown(UnknownReason.NOT_REACHED, detail):
            return Refused(Trouble.DOWN, detail or "not_reached")
        case Unknown(UnknownReason.HTTP_STATUS, "503"):
            return Refused(Trouble.DOWN, "503")
        case Unknown(reason, _):
            return Unclear(reason)
        case _:
            assert_never(outcome)


def _trouble(code: str) -> Trouble:
    if code in _RECIPIENT:
        return Trouble.RECIPIENT
    return Trouble.RATE if code in _RATE else Trouble.CONFIG
