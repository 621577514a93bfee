"""The lives: who signs what and when, what goes wrong, and what must have come of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Final, TypeAlias

from deploy.demo.people import Person
from deploy.demo.shop import Plan, plan
from shared.calendar import at_in_china

BEGIN: Final = at_in_china(date(2026, 12, 1), 9)
"""Where the test clock of the demo starts."""


def at(day: str, hour: int = 10, minute: int = 0) -> datetime:
    """Return the instant of a wall clock in China."""
    return at_in_china(date.fromisoformat(day), hour, minute)


@dataclass(frozen=True, slots=True)
class Trouble:
    """From *when* on a provider follows this fault script for the customer's account."""

    when: datetime
    simulator: str
    steps: tuple[tuple[str, str, int | datetime], ...]
    """(on, do, how often or until when)."""


@dataclass(frozen=True, slots=True)
class Stock:
    """The warehouse has so many of a SKU from *when* on."""

    when: datetime
    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class PayNow:
    """The customer pays instalment *seq* by its link."""

    when: datetime
    seq: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """The customer cancels within the cooling-off time."""

    when: datetime


@dataclass(frozen=True, slots=True)
class Terminate:
    """The customer ends the agreement early."""

    when: datetime
    reason: str = "customer_wish"


@dataclass(frozen=True, slots=True)
class Revoke:
    """The customer revokes the mandate in the wallet."""

    when: datetime


Act: TypeAlias = Trouble | Stock | PayNow | Cancel | Terminate | Revoke


@dataclass(frozen=True, slots=True)
class Expect:
    """
    What must stand after twelve months.

    ``paid``: instalments whose money came, refunded ones included.  ``cancelled``:
    shipments that were called off.  ``failed``, ``asked``, ``pay_now``: at least so many
    failed attempts, attempts resolved by asking, and instalments paid by link.
    ``postponed`` instalments were charged on another day than signed.
    """

    state: str
    paid: int
    refunded_fen: int = 0
    cancelled: int = 0
    failed: int = 0
    asked: int = 0
    pay_now: int = 0
    postponed: int = 0
    overdue: int = 0
    substituted: int = 0
    stages: tuple[str, ...] = ()
    mandate: str = "active"


@dataclass(frozen=True, slots=True)
class Life:
    """One customer's year."""

    key: str
    zh: str
    en: str
    plan_key: str
    rail: str
    charge_day: int
    signs_at: datetime
    expect: Expect
    acts: tuple[Act, ...] = ()
    born_on: date = date(2023, 5, 4)
    size: str = "medium"
    number: int = 0
    refused_first: tuple[str, int] | None = field(default=None)
    """A rail and a charge day that the customer asked for first, and could not have."""

    @property
    def person(self) -> Person:
        """Return the customer."""
        return Person(self.number)

    @property
    def plan(self) -> Plan:
        """Return what is signed."""
        return plan(self.plan_key)


FIRST: Final = at("2026-12-01")
SECOND: Final = at("2026-12-02")
THIRD: Final = at("2026-12-03")

ALIPAY: Final = "alipay"
WECHAT: Final = "wechatpay"

_NO_MONEY: Final = {ALIPAY: "BUYER_BALANCE_NOT_ENOUGH", WECHAT: "NOTENOUGH"}


def _declined(rail: str, when: datetime, how_often: int | datetime) -> Trouble:
    return Trouble(when, rail, (("pay", f"decline:{_NO_MONEY[rail]}", how_often),))


_ACTIVE: Final = Expect("active", 12)
_DONE: Final = Expect("completed", 12, mandate="closed")

_TABLE: Final = (
    Life("happy_alipay", "支付宝，一年顺利", "A good year on Alipay",
         "kitten18", ALIPAY, 10, FIRST, replace(_ACTIVE, stages=("growing", "adult")),
         born_on=date(2026, 6, 18)),
    Life("happy_wechat", "微信支付，一年顺利", "A good year on WeChat Pay",
         "dog12", WECHAT, 10, FIRST, _DONE),
    Life("retry_alipay", "支付宝余额不足，补扣成功", "Declined on Alipay, paid on retry",
         "cat12", ALIPAY, 10, FIRST, replace(_DONE, failed=1),
         (_declined(ALIPAY, at("2027-03-09"), 1),)),
    Life("retry_wechat", "微信余额不足，补扣成功", "Declined on WeChat Pay, paid on retry",
         "dog12", WECHAT, 15, SECOND, replace(_DONE, failed=1),
         (_declined(WECHAT, at("2027-04-14"), 1),)),
    Life("hidden_alipay", "支付宝已入账但应答丢失，只扣一次",
         "Alipay booked it and never answered: paid once",
         "kitten18", ALIPAY, 15, SECOND, replace(_ACTIVE, asked=1, stages=("adult",)),
         (Trouble(at("2027-02-14"), ALIPAY, (("pay", "hide_answer", 1), ("notify", "drop", 1))),)),
    Life("hidden_wechat", "微信已受理但应答丢失，只扣一次",
         "WeChat Pay's answer and news were lost: paid once",
         "dog12", WECHAT, 15, SECOND, replace(_DONE, asked=1),
         (Trouble(at("2027-05-14"), WECHAT,
                  (("apply", "hide_answer", 1), ("notify", "drop", 1))),)),
    Life("dunned_alipay", "多次扣款失败，催付后自助付清",
         "Every try declined on Alipay, dunned, paid by link",
         "cat12", ALIPAY, 10, FIRST, replace(_DONE, failed=2, pay_now=1),
         (_declined(ALIPAY, at("2027-02-09"), at("2027-02-12")), PayNow(at("2027-02-18"), 3))),
    Life("dunned_wechat", "微信多次扣款失败，催付后自助付清",
         "Every try declined on WeChat Pay, dunned, paid by link",
         "dog12", WECHAT, 20, THIRD, replace(_DONE, failed=2, pay_now=1),
         (_declined(WECHAT, at("2027-05-19"), at("2027-05-22")), PayNow(at("2027-05-28"), 6))),
    Life("cancelled", "冷静期内取消", "Cancelled within the cooling-off time",
         "kitten18", ALIPAY, 15, SECOND, Expect("cancelled", 0, mandate="closed"),
         (Cancel(at("2026-12-03", 20)),)),
    Life("cancelled_paid", "提前付款后在冷静期内取消，全额退回",
         "Paid early, cancelled while cooling off: all back",
         "dog12", ALIPAY, 20, THIRD,
         Expect("cancelled", 1, refunded_fen=29800, cancelled=1, pay_now=1, mandate="closed"),
         (PayNow(at("2026-12-03", 15), 1), Cancel(at("2026-12-04", 11)))),
    Life("terminated_alipay", "提前解约，未发货的包裹取消，余款退回",
         "Terminated early: parcel called off, rest refunded",
         "dog12", ALIPAY, 20, THIRD,
         Expect("terminated", 5, refunded_fen=4 * 3000 + 29800, cancelled=1, mandate="closed"),
         (Terminate(at("2027-04-21", 20)),)),
    Life("terminated_wechat", "微信提前解约，余款退回",
         "Terminated early on WeChat Pay, rest refunded",
         "sens12", WECHAT, 15, SECOND,
         Expect("terminated", 7, refunded_fen=7 * 3000, mandate="closed"),
         (Terminate(at("2027-06-28", 11), "pet_dead"),)),
    Life("day_31", "微信每月 31 日扣款（支付宝不支持）",
         "Charge day 31 on WeChat Pay, refused on Alipay",
         "dog12", WECHAT, 31, THIRD, _ACTIVE, refused_first=(ALIPAY, 31)),
    Life("duplicated", "支付通知重复送达", "Notifications delivered twice",
         "cat12", ALIPAY, 20, THIRD, _DONE,
         (Trouble(at("2027-01-19"), ALIPAY, (("notify", "duplicate", 6),)),)),
    Life("reordered", "支付通知乱序、迟到", "Notifications late and out of order",
         "dog12", WECHAT, 20, THIRD, _DONE,
         (Trouble(at("2027-01-19"), WECHAT, (("notify", "reorder:45", 6),)),)),
    Life("badly_signed", "伪造签名的支付通知", "Notifications with a wrong signature",
         "kitten18", WECHAT, 10, FIRST, replace(_ACTIVE, stages=("adult",)),
         (Trouble(at("2027-01-09"), WECHAT, (("notify", "bad_signature", 4),)),)),
    Life("substituted", "缺货，经同意更换替代品", "Out of stock, substituted as agreed",
         "sens12", ALIPAY, 10, FIRST, replace(_DONE, substituted=1),
         (Stock(at("2027-03-11", 12), "SENS-DUCK-2KG", 0),
          Stock(at("2027-03-14", 12), "SENS-DUCK-2KG", 100_000))),
    Life("waits", "缺货，等待补货后发出", "Out of stock, waits for new stock",
         "old12", ALIPAY, 15, SECOND, replace(_DONE, stages=("senior",)),
         (Stock(at("2027-04-16", 12), "OLD-DOG-5KG", 0),
          Stock(at("2027-04-19", 12), "OLD-DOG-5KG", 100_000)), born_on=date(2018, 3, 3)),
    Life("grows_up", "幼猫长成成猫，包裹随之更换", "A kitten becomes an adult, its bundle changes",
         "kitten18", ALIPAY, 20, THIRD, replace(_ACTIVE, stages=("growing", "adult")),
         born_on=date(2026, 4, 2)),
    Life("sms_down", "短信通道中断，没有提醒凭证就不扣款",
         "SMS down while a notice is due: no charge without proof",
         "dog12", ALIPAY, 15, SECOND, replace(_DONE, postponed=9),
         (Trouble(at("2027-03-12", 8), "sms", (("send", "outage", at("2027-03-14", 12)),)),)),
    Life("revoked", "客户在支付宝解除代扣，改为自助付款后解约",
         "Mandate revoked at the rail; pays by link, then ends it",
         "dog12", ALIPAY, 10, FIRST,
         Expect("terminated", 6, refunded_fen=6 * 3000, pay_now=1, mandate="revoked"),
         (Revoke(at("2027-04-20")), PayNow(at("2027-05-12"), 6), Terminate(at("2027-06-01")))),
    Life("half_year", "半年付，付清发清后自动完成", "Six periods, completed, mandate closed",
         "dog6", WECHAT, 15, SECOND, replace(_DONE, paid=6)),
    Life("wallet_only", "只存宠物钱包，不发货", "Saves into the pet wallet, nothing is shipped",
         "wallet6", ALIPAY, 20, THIRD, replace(_DONE, paid=6)),
    Life("pays_early", "在扣款日之前自助付款", "Pays by link before the charge day",
         "cat12", WECHAT, 20, THIRD, replace(_DONE, pay_now=1), (PayNow(at("2027-02-16"), 3),)),
)  # fmt: skip

MINIMUM: Final = len(_TABLE)


def lives(customers: int = MINIMUM) -> tuple[Life, ...]:
    """
    Return the lives of so many customers: the table, then more good years.

    Raises:
        ValueError: Fewer were asked for than the table has.
    """
    if customers < MINIMUM:
        raise ValueError(f"At least {MINIMUM} customers, one for each life of the table")
    chosen = [
        _TABLE[n] if n < MINIMUM else replace(_TABLE[n % 2], key=f"{_TABLE[n % 2].key}_{n + 1}")
        for n in range(customers)
    ]
    return tuple(replace(life, number=n + 1) for n, life in enumerate(chosen))


def moments(cast: Sequence[Life]) -> list[datetime]:
    """Return every instant at which somebody of *cast* does something, in order."""
    return sorted({life.signs_at for life in cast} | {a.when for life in cast for a in life.acts})
