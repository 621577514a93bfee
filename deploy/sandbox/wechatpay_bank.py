"""What the simulated WeChat Pay knows and permits: contracts, orders, refunds, balances."""

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Final

from deploy.sandbox.kit_books import Books, Doc
from shared.calendar import CHINA, day_in_china

PER_CHARGE_FEN: Final = 50_000
PER_DAY_FEN: Final = 250_000
"""Ceilings of a deduction template.  Source: community answers; the template decides."""

HOURS: Final = range(7, 22)
"""Hours in China at which notices and deductions are taken."""

FREE_AFTER_SIGNING: Final = timedelta(hours=12)
"""How long after signing a deduction needs no notice, unless one was sent."""

WAIT_24H: Final = timedelta(hours=24)
REFUNDS_PER_ORDER: Final = 50
REFUND_DAYS: Final = 365
NEED_NOTICE: Final = "需要先下发扣费前通知才能扣费"
WRONG_TEMPLATE: Final = "当前签约的模板不是周期扣费类型,不能下发扣费前通知"
NUMBER_REPEATED: Final = "商户订单号重复"


class Declined(Exception):
    """WeChat Pay says no: a code, a sentence, and in v3 a status."""

    def __init__(self, code: str, text: str = "", status: int = 400) -> None:
        """Say no with *code*."""
        super().__init__(code)
        self.code = code
        self.text = text or code
        self.status = status


class WechatBank:
    """The rules and the books; it neither signs nor sends."""

    def __init__(
        self, books: Books, now: Callable[[], datetime], number: Callable[[str], int]
    ) -> None:
        """Keep everything in *books*; *number* counts series."""
        self._books = books
        self._now = now
        self._number = number

    # Contracts

    def sign(self, openid: str, fields: Doc) -> Doc:
        """Conclude a contract from the front end's verified ``extraData``."""
        serial, code = fields["request_serial"], fields["contract_code"]
        if not serial.isdigit() or serial.startswith("0") or not code.isalnum():
            raise Declined("PARAM_ERROR")
        if any(
            (row["mch_id"], row["contract_code"]) == (fields["mch_id"], code)
            for row in self._books.all("contracts")
        ):
            raise Declined("CONTRACT_CODE_USED")
        number = f"2026{self._number('contract'):014d}"
        contract = {
            "contract_id": number,
            "contract_code": code,
            "plan_id": fields["plan_id"],
            "mch_id": fields["mch_id"],
            "appid": fields["appid"],
            "account": openid,
            "request_serial": serial,
            "display_account": fields["contract_display_account"],
            "notify_url": fields["notify_url"],
            "state": "0",
            "signed_at": self._now().isoformat(),
            "terminated_at": "",
            "termination_mode": "0",
            "notice": None,
        }
        return self._books.put("contracts", number, contract)

    def contract(self, mch_id: str, fields: Doc) -> Doc:
        """Return a contract, alive or not; declines one that never was or is another's."""
        found = self._books.get("contracts", fields.get("contract_id", ""))
        if "contract_id" not in fields:
            found = next(
                (
                    row
                    for row in self._books.all("contracts")
                    if row["plan_id"] == fields.get("plan_id")
                    and row["contract_code"] == fields.get("contract_code")
                ),
                None,
            )
        if found is None or found["mch_id"] != mch_id:
            raise Declined("CONTRACT_NOT_EXIST", status=404)
        return found

    def end(self, contract: Doc, mode: str) -> Doc:
        """End a contract; *mode* 2 = by the user, 3 = by the merchant."""
        return self._books.change(
            "contracts",
            contract["contract_id"],
            state="1",
            terminated_at=self._now().isoformat(),
            termination_mode=mode,
        )

    def mode(self, plan_id: str) -> str:
        """Return ``prenotice`` or ``24h``: how deductions of a template are announced."""
        plan = self._books.get("plans", plan_id)
        return "prenotice" if plan is None else str(plan["mode"])

    def notice(self, contract: Doc, amount_fen: int, days: int) -> None:
        """Take a pre-deduction notice."""
        if contract["state"] != "0":
            raise Declined("CONTRACT_NOT_EXIST", status=404)
        if self.mode(contract["plan_id"]) != "prenotice":
            raise Declined("INVALID_REQUEST", WRONG_TEMPLATE)
        self._check_hours()
        if not 1 <= amount_fen <= PER_CHARGE_FEN:
            raise Declined("INVALID_REQUEST", "预估金额超出模板限制")
        today, standing = self._today(), contract["notice"]
        if standing is not None and not standing["paid"] and today <= _last_day(standing):
            raise Declined("INVALID_REQUEST", "本周期已下发扣费前通知")
        notice = {"day": today.isoformat(), "amount_fen": amount_fen, "days": days, "paid": False}
        self._books.change("contracts", contract["contract_id"], notice=notice)
        self._books.put(
            "prenotices",
            str(self._number("prenotice")),
            {"contract_id": contract["contract_id"], "at": self._now().isoformat(), **notice},
        )

    # Deductions

    def apply(self, fields: Doc, *, decline: str) -> tuple[Doc, datetime | None]:
        """
        Accept a deduction; return the order, and when to execute it if it is new.

        *decline* makes the execution fail with that code.
        """
        amount_fen, number = int(fields["total_fee"]), fields["out_trade_no"]
        known = self.order(fields["mch_id"], number)
        if known is not None:
            return self._again(known, amount_fen, fields["contract_id"]), None
        contract = self.contract(fields["mch_id"], {"contract_id": fields["contract_id"]})
        if contract["state"] != "0":
            raise Declined("CONTRACT_NOT_EXIST")
        if not 1 <= amount_fen <= PER_CHARGE_FEN:
            raise Declined("RULELIMIT", "交易金额或次数超出限制")
        orders = [self._books.get("orders", key) for key in contract.get("order_keys", [])]
        alive = [row for row in orders if row is not None]
        if any(row["trade_state"] == "ACCEPT" for row in alive):
            raise Declined("FREQUENCY_LIMITED")
        self._check_day(alive, amount_fen)
        due = self._check_announced(contract, amount_fen)
        order = self._open_order(fields, contract["account"], amount_fen)
        order |= {
            "trade_type": "PAP",
            "trade_state": "ACCEPT",
            "contract_id": contract["contract_id"],
            "decline": decline,
        }
        self._save(order)
        self._books.change(
            "contracts",
            contract["contract_id"],
            order_keys=[*contract.get("order_keys", [])[-9:], _key(order)],
        )
        return order, due

    def _again(self, known: Doc, amount_fen: int, contract_id: str) -> Doc:
        if (known["amount_fen"], known["contract_id"]) != (amount_fen, contract_id):
            raise Declined("OUT_TRADE_NO_USED", NUMBER_REPEATED)
        if known["trade_state"] == "ACCEPT":
            return known
        if known["trade_state"] == "PAY_FAIL":
            raise Declined("OUT_TRADE_NO_USED", NUMBER_REPEATED)
        raise Declined("ORDERPAID")

    def _check_day(self, orders: list[Doc], amount_fen: int) -> None:
        today = self._today()
        paid = [
            row["amount_fen"]
            for row in orders
            if row["paid_at"] and day_in_china(datetime.fromisoformat(row["paid_at"])) == today
        ]
        if paid or sum(paid) + amount_fen > PER_DAY_FEN:
            raise Declined("RULELIMIT", "交易金额或次数超出限制")

    def _check_announced(self, contract: Doc, amount_fen: int) -> datetime:
        now, notice = self._now(), contract["notice"]
        fresh = now - datetime.fromisoformat(contract["signed_at"]) < FREE_AFTER_SIGNING
        if fresh and notice is None:
            return now
        if self.mode(contract["plan_id"]) == "24h":
            return now + WAIT_24H
        self._check_hours()
        if notice is None or notice["paid"]:
            raise Declined("INVALID_REQUEST", NEED_NOTICE)
        first = date.fromisoformat(notice["day"]) + timedelta(days=2)
        if not first <= self._today() <= _last_day(notice):
            raise Declined("INVALID_REQUEST", NEED_NOTICE)
        if amount_fen > notice["amount_fen"]:
            raise Declined("RULELIMIT", "交易金额或次数超出限制")
        return now

    def execute(self, key: str) -> Doc | None:
        """Carry out an accepted deduction; return the order as it ended, once."""
        order = self._books.get("orders", key)
        if order is None or order["trade_state"] != "ACCEPT":
            return None
        contract = self._books.get("contracts", order["contract_id"])
        assert contract is not None
        try:
            self._execute_or_decline(order, contract)
        except Declined as no:
            return self._save(order | {"trade_state": "PAY_FAIL", "err_code": no.code})
        notice = contract["notice"]
        slow = self.mode(contract["plan_id"]) == "24h"
        period = notice["day"] if notice else self._today().isoformat() if slow else "first"
        if notice is not None:
            done = notice | {"paid": True}
            self._books.change("contracts", contract["contract_id"], notice=done)
        return self._paid(order, period)

    def _execute_or_decline(self, order: Doc, contract: Doc) -> None:
        if order["decline"]:
            raise Declined(order["decline"])
        if contract["state"] != "0":
            raise Declined("CONTRACT_NOT_EXIST")
        self._take(order["account"], order["amount_fen"])

    # Orders the customer pays

    def create(self, content: Doc) -> Doc:
        """Open an order for ``wx.requestPayment``; again with the same content is fine."""
        amount_fen, openid = int(content["amount"]["total"]), content["payer"]["openid"]
        known = self.order(content["mchid"], content["out_trade_no"])
        if known is not None:
            if known["trade_state"] == "SUCCESS":
                raise Declined("ORDERPAID")
            if known["trade_state"] == "CLOSED":
                raise Declined("ORDER_CLOSED")
            if (known["amount_fen"], known["account"]) != (amount_fen, openid):
                raise Declined("INVALID_REQUEST", NUMBER_REPEATED)
            return known
        if amount_fen < 1:
            raise Declined("PARAM_ERROR")
        fields = content | {"mch_id": content["mchid"]}
        order = self._open_order(fields, openid, amount_fen)
        prepay_id = f"wx{self._number('prepay'):034d}"
        order |= {"trade_type": "JSAPI", "trade_state": "NOTPAY", "prepay_id": prepay_id}
        self._books.put("_prepays", prepay_id, {"key": _key(order)})
        return self._save(order)

    def pay(self, openid: str, prepay_id: str) -> Doc:
        """Let the customer pay an order."""
        key = self._books.get("_prepays", prepay_id)
        order = None if key is None else self._books.get("orders", key["key"])
        if order is None or order["account"] != openid:
            raise Declined("ORDER_NOT_EXIST", status=404)
        if order["trade_state"] != "NOTPAY":
            raise Declined("ORDER_CLOSED")
        self._take(openid, order["amount_fen"])
        return self._paid(order, "")

    def close(self, mch_id: str, number: str) -> None:
        """Close an unpaid order; again is fine."""
        order = self.known_order(mch_id, number)
        if order["trade_state"] == "SUCCESS":
            raise Declined("ORDERPAID")
        self._save(order | {"trade_state": "CLOSED"})

    def order(self, mch_id: str, number: str) -> Doc | None:
        """Return an order, or ``None``."""
        return self._books.get("orders", f"{mch_id}/{number}")

    def known_order(self, mch_id: str, number: str) -> Doc:
        """Return an order; declines one that never came."""
        order = self.order(mch_id, number)
        if order is None:
            raise Declined("ORDER_NOT_EXIST", status=404)
        return order

    # Refunds

    def refund(self, mch_id: str, content: Doc) -> tuple[Doc, bool]:
        """Accept a refund; return it and whether it is new."""
        order = self._refunded_order(mch_id, content)
        amount_fen, number = int(content["amount"]["refund"]), content["out_refund_no"]
        key = f"{mch_id}/{number}"
        known = self._books.get("refunds", key)
        if known is not None:
            if (known["amount_fen"], known["out_trade_no"]) != (amount_fen, order["out_trade_no"]):
                raise Declined("INVALID_REQUEST", "退款单号重复")
            return known, False
        refunds = order["refunds"] + 1
        total = order["refunded_fen"] + amount_fen
        age = self._now() - datetime.fromisoformat(order["paid_at"])
        if int(content["amount"]["total"]) != order["amount_fen"] or amount_fen < 1:
            raise Declined("PARAM_ERROR")
        if total > order["amount_fen"] or refunds > REFUNDS_PER_ORDER or age.days > REFUND_DAYS:
            raise Declined("INVALID_REQUEST", "退款金额、次数或期限超出限制")
        self._save(order | {"refunded_fen": total, "refunds": refunds})
        refund = {
            "out_refund_no": number,
            "refund_id": f"50{self._number('refund'):026d}",
            "out_trade_no": order["out_trade_no"],
            "transaction_id": order["transaction_id"],
            "merchant": mch_id,
            "account": order["account"],
            "amount_fen": amount_fen,
            "total_fen": order["amount_fen"],
            "status": "PROCESSING",
            "created_at": self._now().isoformat(),
            "at": "",
            "notify_url": content.get("notify_url", ""),
        }
        return self._books.put("refunds", key, refund), True

    def _refunded_order(self, mch_id: str, content: Doc) -> Doc:
        order = self.order(mch_id, content.get("out_trade_no", ""))
        if order is None and "transaction_id" in content:
            rows = self._books.all("orders")
            order = next(
                (row for row in rows if row["transaction_id"] == content["transaction_id"]), None
            )
        if order is None or order["merchant"] != mch_id or not order["paid_at"]:
            raise Declined("RESOURCE_NOT_EXISTS", status=404)
        return order

    def finish_refund(self, key: str, status: str) -> Doc:
        """End an accepted refund with *status*."""
        refund = self._books.get("refunds", key)
        assert refund is not None
        if status == "SUCCESS":
            self._take(refund["account"], -refund["amount_fen"])
        return self._books.change("refunds", key, status=status, at=self._now().isoformat())

    def set_user(self, openid: str, fields: Doc) -> Doc:
        """Set what a user has; ``balance_fen`` None is a purse without end."""
        known = self._books.get("users", openid) or {"openid": openid, "balance_fen": None}
        return self._books.put("users", openid, known | fields)

    def summary(self) -> Doc:
        """Return the totals an auditor wants first; a refund counts when it has succeeded."""
        captures = list(self._books.all("captures"))
        periods = Counter(
            (row["contract_id"], row["period"]) for row in captures if row["contract_id"]
        )
        done = [row for row in self._books.all("refunds") if row["status"] == "SUCCESS"]
        return {
            "captured_fen": sum(row["amount_fen"] for row in captures),
            "refunded_fen": sum(row["amount_fen"] for row in done),
            "captures": len(captures),
            "refunds": len(done),
            "double_captures": sum(count - 1 for count in periods.values()),
        }

    def _open_order(self, fields: Doc, account: str, amount_fen: int) -> Doc:
        return {
            "out_trade_no": fields["out_trade_no"],
            "transaction_id": f"42{self._number('transaction'):026d}",
            "merchant": fields["mch_id"],
            "appid": fields["appid"],
            "account": account,
            "amount_fen": amount_fen,
            "attach": fields.get("attach", ""),
            "notify_url": fields.get("notify_url", ""),
            "contract_id": "",
            "err_code": "",
            "paid_at": "",
            "refunded_fen": 0,
            "refunds": 0,
        }

    def _paid(self, order: Doc, period: str) -> Doc:
        moment = self._now().isoformat()
        capture = {
            "trade_no": order["transaction_id"],
            "out_trade_no": order["out_trade_no"],
            "contract_id": order["contract_id"],
            "period": period,
            "account": order["account"],
            "merchant": order["merchant"],
            "amount_fen": order["amount_fen"],
            "at": moment,
        }
        self._books.put("captures", order["transaction_id"], capture)
        return self._save(order | {"trade_state": "SUCCESS", "paid_at": moment})

    def _take(self, openid: str, amount_fen: int) -> None:
        user = self._books.get("users", openid)
        if user is None or user["balance_fen"] is None:
            return
        if user["balance_fen"] < amount_fen:
            raise Declined("NOTENOUGH")
        self._books.change("users", openid, balance_fen=user["balance_fen"] - amount_fen)

    def _save(self, order: Doc) -> Doc:
        return self._books.put("orders", _key(order), order)

    def _today(self) -> date:
        return day_in_china(self._now())

    def _check_hours(self) -> None:
        if self._now().astimezone(CHINA).hour not in HOURS:
            raise Declined("INVALID_REQUEST", "当前时间不允许扣费")


def _key(order: Doc) -> str:
    return f"{order['merchant']}/{order['out_trade_no']}"


def _last_day(notice: Doc) -> date:
    return date.fromisoformat(notice["day"]) + timedelta(days=1 + int(notice["days"]))
