"""Events that notify hears, valid by default, and notify with providers that obey the test."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from services.billing.contract import (
    ChargeCollected,
    ChargeFailed,
    InstalmentOverdue,
    NoticeRequested,
)
from services.fulfillment.contract import ShipmentDispatched
from services.notify.consumers import CONSUMERS
from services.notify.contract.states import Channel, Kind, MessageState
from services.notify.deps import Deps, Keys, load_templates
from services.notify.domain.message import Message
from services.notify.domain.provider import (
    Accepted,
    Answer,
    CannotTell,
    Finding,
    Letter,
    Tracking,
)
from services.notify.gateways.sender import Sender
from services.notify.store import messages
from services.notify.usecases.query_receipts import query_missing_receipts
from services.notify.usecases.submit_due_messages import submit_due_messages
from services.signing.contract import (
    AgreementCancelled,
    AgreementSigned,
    CustomerRegistered,
    LegalKind,
    MerchantApproved,
    Rail,
    SignedInstalment,
)
from shared.bus import Bus, durable
from shared.clock import TestClock
from shared.db import Database
from shared.events import Event
from shared.ids import derived_id, new_id
from shared.sealing import FieldCipher, Unsealer, new_field_key, new_key_pair, seal

NOON = datetime(2027, 3, 1, 4, 0, tzinfo=UTC)  # Monday, 12:00 in China
MERCHANT = derived_id("merchant", 1)
CUSTOMER = derived_id("customer", 1)
AGREEMENT = derived_id("agreement", 1)
PHONE = "13800000001"
OPENID = "oWechatOpenid000001"
ALIPAY_ID = "2088000000000001"
TOKEN = "a-token-nobody-guesses"
PUSH_TOKEN = "sandbox-wechat-token"
PRIVATE_KEY, PUBLIC_KEY = new_key_pair()
CONTACT = {
    "phone": PHONE,
    "salutation": "张先生",
    "alipay_user_id": ALIPAY_ID,
    "wechat_openid": OPENID,
}


@dataclass
class FakeSender:
    """A provider that says what the test tells it, and remembers what it was asked."""

    name: str = "aliyun"
    channel: Channel = Channel.SMS
    tracking: Tracking = Tracking.QUERY
    says: list[Answer | Exception] = field(default_factory=list)
    finds: list[Finding] = field(default_factory=list)
    sent: list[Letter] = field(default_factory=list)
    asked: list[Letter] = field(default_factory=list)

    async def send(self, letter: Letter) -> Answer:
        self.sent.append(letter)
        said = self.says.pop(0) if self.says else Accepted(f"{self.name}-{len(self.sent)}")
        if isinstance(said, Exception):
            raise said
        return said

    async def look_up(self, letter: Letter, *, submitted_at: datetime) -> Finding:
        assert submitted_at.tzinfo is not None
        self.asked.append(letter)
        return self.finds.pop(0) if self.finds else CannotTell("silent")


@dataclass(frozen=True)
class Told:
    """One event waiting in the outbox."""

    subject: str
    body: dict[str, Any]


class NotifyForTests:
    """Notify's consumers and jobs on a database, driven by hand."""

    def __init__(self, db: Database, deps: Deps, clock: TestClock) -> None:
        self.db, self.deps, self.clock = db, deps, clock
        self.bus = Bus("notify", CONSUMERS, db=db, clock=clock, deps=deps)

    @property
    def sms(self) -> FakeSender:
        return self._fake("aliyun")

    @property
    def wechat(self) -> FakeSender:
        return self._fake("wechat")

    @property
    def alipay(self) -> FakeSender:
        return self._fake("alipay")

    def _fake(self, name: str) -> FakeSender:
        sender = self.deps.senders[name]
        assert isinstance(sender, FakeSender)
        return sender

    async def hear(self, *events: Event) -> None:
        """Apply events of one class as one batch, exactly as the bus would."""
        await self.bus.apply(durable("notify", type(events[0])), events)

    async def meet(self, **changes: str) -> None:
        """Hear of the merchant, the customer and the agreement, so that messages can go."""
        await self.hear(a_merchant())
        await self.hear(a_customer(CUSTOMER, occurred_at=NOON, **changes))
        await self.hear(a_signing(instalments=()))

    async def forget_what_was_heard(self) -> None:
        async with self.db.transaction() as conn:
            await conn.execute("DELETE FROM inbox")

    async def run(self) -> None:
        """Send whatever is due at this moment, and all that becomes due by it."""
        for _ in range(20):
            if await submit_due_messages(self.deps) == 0:
                return
        raise AssertionError("messages stay due: the clock would stand still")

    async def live_until(self, moment: datetime) -> None:
        """Go from one due moment to the next, as the platform's test clock does."""
        for _ in range(500):
            await self.run()
            while await query_missing_receipts(self.deps):
                pass
            async with self.db.connection() as conn:
                due = [
                    await conn.fetchval(messages.NEXT_DUE),
                    await conn.fetchval(messages.NEXT_RECEIPT_DUE),
                ]
            coming = min((at for at in due if at is not None), default=moment)
            if coming > moment or self.clock.now() == moment:
                break
            self.clock.set(max(coming, self.clock.now()))
        else:
            raise AssertionError("too many due moments")
        self.clock.set(max(moment, self.clock.now()))

    async def messages(self, cause: str = "%") -> list[Message]:
        async with self.db.connection() as conn:
            rows = await conn.fetch(
                "SELECT merchant_id, message_id FROM messages WHERE cause LIKE $1", cause
            )
            found = await messages.lock(conn, [tuple(row) for row in rows])
        return sorted(found.values(), key=lambda m: (m.queued_at, m.cause, m.channel))

    async def message(self, cause: str, channel: Channel = Channel.SMS) -> Message:
        (found,) = [m for m in await self.messages(cause) if m.channel is channel]
        return found

    async def told(self, subject: str = "%") -> list[Told]:
        async with self.db.connection() as conn:
            rows = await conn.fetch(
                """
                SELECT subject, convert_from(body, 'UTF8')::jsonb AS body FROM outbox
                 WHERE subject LIKE $1 ORDER BY seq
                """,
                subject,
            )
        return [Told(row["subject"], row["body"]) for row in rows]


def fakes() -> tuple[FakeSender, ...]:
    return (
        FakeSender(),
        FakeSender("wechat", Channel.MINI_PROGRAM, Tracking.RECEIPT),
        FakeSender("alipay", Channel.MINI_PROGRAM, Tracking.NONE),
    )


async def notify_for_tests(
    db: Database,
    senders: Sequence[Sender] | None = None,
    *,
    now: datetime = NOON,
    clock: TestClock | None = None,
) -> NotifyForTests:
    clock = clock or TestClock(now)
    deps = Deps(
        db=db,
        clock=clock,
        senders={sender.name: sender for sender in senders or fakes()},
        templates=await load_templates(db, clock, {}),
        keys=Keys(
            unsealer=Unsealer(PRIVATE_KEY),
            cipher=FieldCipher({"1": new_field_key()}, current="1"),
            index_key=base64.b64decode(new_field_key()),
            webhook_token=TOKEN,
            wechat_push_token=PUSH_TOKEN,
        ),
    )
    return NotifyForTests(db, deps, clock)


def a_message(**changes: Any) -> Message:
    terms: dict[str, Any] = {
        "merchant_id": MERCHANT,
        "message_id": new_id(),
        "cause": "notice.reminder",
        "cause_id": new_id(),
        "channel": Channel.SMS,
        "customer_id": CUSTOMER,
        "agreement_id": AGREEMENT,
        "instalment_id": None,
        "rail": None,
        "template_key": "notice.reminder",
        "kind": Kind.NOTICE,
        "facts": {},
        "queued_at": NOON,
        "send_by": NOON + timedelta(hours=24),
        "due_at": NOON,
        "state": MessageState.QUEUED,
    }
    return Message(**(terms | changes))


def a_merchant(**changes: Any) -> MerchantApproved:
    terms: dict[str, Any] = {
        "display_name": "毛毛宠物店",
        "legal_kind": LegalKind.COMPANY,
        "service_phone": "400-800-1234",
        "payees": (),
    }
    return MerchantApproved(**(_event() | terms | changes))


def a_customer(
    customer_id: UUID = CUSTOMER, *, occurred_at: datetime = NOON, **changes: str
) -> CustomerRegistered:
    sealed = seal(PUBLIC_KEY, CONTACT | changes)
    return CustomerRegistered(
        event_id=new_id(),
        occurred_at=occurred_at,
        merchant_id=MERCHANT,
        customer_id=customer_id,
        sealed_for_notify=sealed,
        sealed_for_fulfillment="",
    )


def a_signing(**changes: Any) -> AgreementSigned:
    lines = (
        SignedInstalment(seq=1, due_on=NOON.date() + timedelta(days=10), amount_fen=19900),
        SignedInstalment(seq=2, due_on=NOON.date() + timedelta(days=40), amount_fen=19900),
    )
    terms: dict[str, Any] = {
        "agreement_no": "YF1",
        "store_id": derived_id("store", 1),
        "pet_id": derived_id("pet", 1),
        "plan_id": derived_id("plan", 1),
        "plan_version": 1,
        "plan_name": "幼猫成长套餐",
        "rail": Rail.ALIPAY,
        "charge_day": 10,
        "periods": 2,
        "total_fen": 39800,
        "hold_fen": 15000,
        "auto_ship": True,
        "instalments": lines,
        "signed_at": NOON,
        "cooling_off_ends_at": NOON + timedelta(hours=48),
    }
    return AgreementSigned(**(_agreement() | terms | changes))


def a_cancellation(**changes: Any) -> AgreementCancelled:
    return AgreementCancelled(**(_agreement() | changes))


def a_notice(seq: int = 1, **changes: Any) -> NoticeRequested:
    terms: dict[str, Any] = {
        "notice_id": new_id(),
        "kind": "reminder",
        "channels": ("sms", "mini_program"),
        "rail": Rail.ALIPAY,
        "charge_at": NOON + timedelta(days=3),
        "send_by": NOON + timedelta(hours=22),
    }
    return NoticeRequested(**(_instalment(seq) | terms | changes))


def a_collection(seq: int = 1, **changes: Any) -> ChargeCollected:
    terms: dict[str, Any] = {
        "charge_id": derived_id("charge", seq),
        "pet_id": derived_id("pet", 1),
        "rail": Rail.ALIPAY,
        "trade_no": f"T{seq}",
        "rail_trade_no": f"R{seq}",
        "source": "automatic",
        "hold_fen": 15000,
        "auto_ship": True,
        "collected_at": NOON,
    }
    return ChargeCollected(**(_instalment(seq) | terms | changes))


def a_failure(seq: int = 1, **changes: Any) -> ChargeFailed:
    terms: dict[str, Any] = {
        "attempt_id": derived_id("attempt", seq),
        "attempt_no": 1,
        "rail": Rail.ALIPAY,
        "failure_class": "retry_later",
        "retry_at": NOON + timedelta(hours=3),
        "pay_url": "https://pay.example.com/p/Ab12Cd34",
    }
    return ChargeFailed(**(_instalment(seq) | terms | changes))


def an_overdue(seq: int = 1, **changes: Any) -> InstalmentOverdue:
    terms: dict[str, Any] = {
        "days_late": 1,
        "rung": "reminder",
        "pay_url": "https://pay.example.com/p/Ab12Cd34",
    }
    return InstalmentOverdue(**(_instalment(seq) | terms | changes))


def a_dispatch(seq: int = 1, **changes: Any) -> ShipmentDispatched:
    terms: dict[str, Any] = {
        "shipment_id": derived_id("shipment", seq),
        "carrier": "sf",
        "tracking_no": f"SF{seq:010d}",
        "supply_cost_fen": 9000,
        "items": (),
    }
    base = {k: v for k, v in _instalment(seq).items() if k not in {"periods", "amount_fen"}}
    return ShipmentDispatched(**(base | terms | changes))


def _event() -> dict[str, Any]:
    return {"event_id": new_id(), "occurred_at": NOON, "merchant_id": MERCHANT}


def _agreement() -> dict[str, Any]:
    return _event() | {"agreement_id": AGREEMENT, "customer_id": CUSTOMER}


def _instalment(seq: int) -> dict[str, Any]:
    return _agreement() | {
        "instalment_id": derived_id("instalment", AGREEMENT, seq),
        "seq": seq,
        "periods": 12,
        "amount_fen": 19900,
    }
