"""What the simulated Alipay knows and permits: agreements, trades, refunds, balances."""

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, Final

from deploy.sandbox.kit_books import Books, Doc
from shared.calendar import day_in_china, month_day
from shared.money import fen, yuan
from shared.rails.alipay import rail_time, read_time

WINDOW_DAYS: Final = 5
"""Days before the plan date from which a deduction is taken.  Source: Alipay open docs."""

LAST_DAY: Final = 28
"""The last day of the month that a MONTH rule may name."""

AGREEMENTS_PER_USER: Final = 10

_UNITS: Final = {"m": 60, "h": 3600, "d": 86400}
_PRODUCTS: Final = {
    ("CYCLE_PAY_AUTH", "CYCLE_PAY_AUTH_P"),
    ("GENERAL_WITHHOLDING", "GENERAL_WITHHOLDING_P"),
    ("GENERAL_WITHHOLDING", "CYCLE_PAY_AUTH_P"),
}


class Declined(Exception):
    """The bank says no, with this code."""

    def __init__(self, code: str) -> None:
        """Say no with *code*, without the prefix ``ACQ.``."""
        super().__init__(code)
        self.code = code


class AlipayBank:
    """
    The rules and the books; it neither signs nor sends.

    A merchant is the app, or the ``app_auth_token`` of the merchant an app acts for.
    """

    def __init__(
        self, books: Books, now: Callable[[], datetime], number: Callable[[str], int]
    ) -> None:
        """Keep everything in *books*; *number* counts series."""
        self._books = books
        self._now = now
        self._number = number

    # Agreements

    def sign(self, user_id: str, fields: Doc, content: Doc) -> Doc:
        """Conclude an agreement; declines what the rules forbid."""
        merchant = merchant_of(fields)
        product = (content.get("product_code"), content.get("personal_product_code"))
        rule = content.get("period_rule_params")
        mine = [row for row in self._books.all("agreements") if row["status"] == "NORMAL"]
        external = content.get("external_agreement_no", "")
        if product not in _PRODUCTS:
            raise Declined("MERCHANT_AGREEMENT_IS_NOT_EXIST")
        if external and content.get("sign_scene", "DEFAULT|DEFAULT") == "DEFAULT|DEFAULT":
            raise Declined("INVALID_PARAMETER")
        if external and any(
            row["merchant"] == merchant and row["external_agreement_no"] == external for row in mine
        ):
            raise Declined("AGREEMENT_HAS_SIGNED")
        alive = [row for row in mine if (row["user_id"], row["merchant"]) == (user_id, merchant)]
        if len(alive) >= AGREEMENTS_PER_USER:
            raise Declined("AGREEMENT_COUNT_EXCEED")
        number = f"2026{self._number('agreement'):016d}"
        agreement = {
            "agreement_no": number,
            "external_agreement_no": external,
            "user_id": user_id,
            "app_id": fields["app_id"],
            "merchant": merchant,
            "product_code": product[0],
            "personal_product_code": product[1],
            "sign_scene": content.get("sign_scene", ""),
            "status": "NORMAL",
            "sign_time": rail_time(self._now()),
            "paid_fen": 0,
            "paid_count": 0,
            **self._rule(product[1] or "", rule),
        }
        return self._books.put("agreements", number, agreement)

    def _rule(self, personal_product: str, rule: Doc | None) -> Doc:
        if personal_product != "CYCLE_PAY_AUTH_P":
            return {"months": 0, "next_day": "", "single_fen": None}
        if rule is None or rule.get("period_type") != "MONTH":
            raise Declined("INVALID_PARAMETER")
        first = date.fromisoformat(rule["execute_time"])
        if first.day > LAST_DAY or first < day_in_china(self._now()):
            raise Declined("INVALID_PARAMETER")
        total = rule.get("total_amount")
        return {
            "months": int(rule["period"]),
            "next_day": first.isoformat(),
            "single_fen": fen(rule["single_amount"]),
            "total_fen": None if total is None else fen(total),
            "total_payments": rule.get("total_payments"),
        }

    def agreement(self, merchant: str, content: Doc) -> Doc:
        """Return the agreement that *content* names; declines an ended or foreign one."""
        found = self._books.get("agreements", content.get("agreement_no", ""))
        if "agreement_no" not in content:
            named = [
                row
                for row in self._books.all("agreements")
                if row["external_agreement_no"] == content.get("external_agreement_no")
                and row["merchant"] == merchant
            ]
            found = named[-1] if named else None
        if found is None:
            raise Declined("USER_AGREEMENT_NOT_EXIST")
        if found["merchant"] != merchant:
            raise Declined("AUTHOREE_IS_NOT_MATCH")
        if found["status"] != "NORMAL":
            raise Declined("AGREEMENT_HAS_UNSIGNED")
        return found

    def unsign(self, agreement_no: str) -> Doc:
        """End an agreement."""
        moment = rail_time(self._now())
        return self._books.change("agreements", agreement_no, status="UNSIGN", unsign_time=moment)

    def move_plan(self, agreement: Doc, day: date) -> Doc:
        """Move the plan date; only later, and only to a day that a rule may name."""
        if not agreement["months"] or day.day > LAST_DAY:
            raise Declined("INVALID_PARAMETER")
        if day <= date.fromisoformat(agreement["next_day"]):
            raise Declined("INVALID_PARAMETER")
        return self._books.change("agreements", agreement["agreement_no"], next_day=day.isoformat())

    # Trades

    def withhold(self, fields: Doc, content: Doc, *, decline: str = "") -> tuple[Doc, bool]:
        """Deduct under an agreement; return the trade and whether it was paid just now."""
        merchant = merchant_of(fields)
        number = content["agreement_params"]["agreement_no"]
        amount_fen = fen(content["total_amount"])
        trade = self.trade(merchant, content["out_trade_no"])
        if trade is not None:
            if (trade["amount_fen"], trade["agreement_no"]) != (amount_fen, number):
                raise Declined("CONTEXT_INCONSISTENT")
            if trade["status"] == "TRADE_CLOSED":
                raise Declined("TRADE_HAS_CLOSE")
            return trade, False
        agreement = self._books.get("agreements", number)
        if agreement is None or agreement["merchant"] != merchant:
            raise Declined("AGREEMENT_NOT_EXIST")
        if agreement["status"] != "NORMAL":
            raise Declined("AGREEMENT_NOT_EXIST")
        if agreement["product_code"] != content.get("product_code"):
            raise Declined("MERCHANT_AGREEMENT_NOT_EXIST")
        self._check_rule(agreement, amount_fen)
        if decline:
            raise Declined(decline)
        self._take(agreement["user_id"], amount_fen)
        trade = self._open(fields, content, agreement["user_id"], agreement_no=number)
        return self._pay(trade, agreement), True

    def _check_rule(self, agreement: Doc, amount_fen: int) -> None:
        if not agreement["months"]:
            return
        if amount_fen > agreement["single_fen"]:
            raise Declined("CYCLE_PAY_SINGLE_FEE_EXCEED")
        total, count = agreement["total_fen"], agreement["total_payments"]
        if total is not None and agreement["paid_fen"] + amount_fen > total:
            raise Declined("CYCLE_PAY_TOTAL_FEE_EXCEED")
        if count is not None and agreement["paid_count"] >= int(count):
            raise Declined("CYCLE_PAY_TOTAL_TIMES_EXCEED")
        due, today = date.fromisoformat(agreement["next_day"]), day_in_china(self._now())
        if not due - timedelta(days=WINDOW_DAYS) <= today <= due:
            raise Declined("CYCLE_PAY_DATE_NOT_MATCH")

    def create(self, fields: Doc, content: Doc) -> Doc:
        """Open a trade that the buyer pays himself."""
        merchant, amount_fen = merchant_of(fields), fen(content["total_amount"])
        buyer = content.get("buyer_id") or content.get("buyer_open_id")
        if not buyer:
            raise Declined("BUYER_NOT_EXIST")
        trade = self.trade(merchant, content["out_trade_no"])
        if trade is None:
            return self._open(fields, content, buyer, agreement_no="")
        if (trade["amount_fen"], trade["user_id"]) != (amount_fen, buyer):
            raise Declined("CONTEXT_INCONSISTENT")
        if trade["status"] == "TRADE_CLOSED":
            raise Declined("TRADE_HAS_CLOSE")
        if trade["status"] == "TRADE_SUCCESS":
            raise Declined("TRADE_HAS_SUCCESS")
        return trade

    def pay(self, user_id: str, trade_no: str) -> Doc:
        """Let the buyer pay an open trade in the wallet."""
        key = self._books.get("_trade_nos", trade_no)
        trade = None if key is None else self.trade(key["merchant"], key["out_trade_no"])
        if trade is None or trade["user_id"] != user_id:
            raise Declined("TRADE_NOT_EXIST")
        if trade["status"] != "WAIT_BUYER_PAY":
            raise Declined("REASON_TRADE_STATUS_INVALID")
        self._take(user_id, trade["amount_fen"])
        return self._pay(trade, None)

    def trade(self, merchant: str, out_trade_no: str) -> Doc | None:
        """Return a trade, closed by now if nobody paid it in time."""
        trade = self._books.get("trades", f"{merchant}/{out_trade_no}")
        if trade is None or trade["status"] != "WAIT_BUYER_PAY":
            return trade
        if self._now() < datetime.fromisoformat(trade["expires_at"]):
            return trade
        return self._set(trade, status="TRADE_CLOSED")

    def close(self, merchant: str, out_trade_no: str) -> Doc:
        """Close an unpaid trade; again is fine."""
        trade = self.known_trade(merchant, out_trade_no)
        if trade["status"] == "TRADE_SUCCESS":
            raise Declined("REASON_TRADE_STATUS_INVALID")
        return self._set(trade, status="TRADE_CLOSED")

    def known_trade(self, merchant: str, out_trade_no: str) -> Doc:
        """Return a trade; declines one that never came."""
        trade = self.trade(merchant, out_trade_no)
        if trade is None:
            raise Declined("TRADE_NOT_EXIST")
        return trade

    def refund(self, merchant: str, content: Doc) -> tuple[Doc, Doc, bool]:
        """Refund; return trade, refund, and whether the money moved just now."""
        trade = self.known_trade(merchant, content["out_trade_no"])
        amount_fen, number = fen(content["refund_amount"]), content["out_request_no"]
        key = f"{merchant}/{trade['out_trade_no']}/{number}"
        known = self._books.get("refunds", key)
        if known is not None:
            if known["amount_fen"] != amount_fen:
                raise Declined("DISCORDANT_REPEAT_REQUEST")
            return trade, known, False
        if not trade["paid_at"]:
            raise Declined("TRADE_NOT_ALLOW_REFUND")
        refunded_fen = trade["refunded_fen"] + amount_fen
        if amount_fen < 1 or refunded_fen > trade["amount_fen"]:
            raise Declined("REFUND_AMT_NOT_EQUAL_TOTAL")
        whole = refunded_fen == trade["amount_fen"]
        trade = self._set(
            trade,
            refunded_fen=refunded_fen,
            status="TRADE_CLOSED" if whole else "TRADE_SUCCESS",
        )
        self._take(trade["user_id"], -amount_fen)
        refund = {
            "out_request_no": number,
            "out_trade_no": trade["out_trade_no"],
            "trade_no": trade["trade_no"],
            "merchant": merchant,
            "account": trade["user_id"],
            "amount_fen": amount_fen,
            "at": self._now().isoformat(),
        }
        return trade, self._books.put("refunds", key, refund), True

    def known_refund(self, merchant: str, content: Doc) -> Doc | None:
        """Return a refund, or ``None`` where it was never done."""
        number = content["out_request_no"]
        return self._books.get("refunds", f"{merchant}/{content['out_trade_no']}/{number}")

    def set_user(self, user_id: str, fields: Doc) -> Doc:
        """Set what a user has; ``balance_fen`` None is a wallet without end."""
        known = self._books.get("users", user_id) or {"user_id": user_id, "balance_fen": None}
        return self._books.put("users", user_id, known | fields)

    def summary(self) -> Doc:
        """Return the totals an auditor wants first."""
        periods = Counter(
            (row["agreement_no"], row["period"])
            for row in self._books.all("captures")
            if row["agreement_no"]
        )
        return {
            "captured_fen": sum(row["amount_fen"] for row in self._books.all("captures")),
            "refunded_fen": sum(row["amount_fen"] for row in self._books.all("refunds")),
            "captures": self._books.count("captures"),
            "refunds": self._books.count("refunds"),
            "double_captures": sum(count - 1 for count in periods.values()),
        }

    def _open(self, fields: Doc, content: Doc, user_id: str, *, agreement_no: str) -> Doc:
        merchant, out_trade_no = merchant_of(fields), content["out_trade_no"]
        number = f"{day_in_china(self._now()):%Y%m%d}22{self._number('trade'):018d}"
        self._books.put("_trade_nos", number, {"merchant": merchant, "out_trade_no": out_trade_no})
        trade = {
            "trade_no": number,
            "out_trade_no": out_trade_no,
            "merchant": merchant,
            "app_id": fields["app_id"],
            "user_id": user_id,
            "agreement_no": agreement_no,
            "amount_fen": fen(content["total_amount"]),
            "subject": content["subject"],
            "passback_params": content.get("passback_params", ""),
            "notify_url": fields.get("notify_url", ""),
            "status": "WAIT_BUYER_PAY",
            "created_at": self._now().isoformat(),
            "expires_at": _end(content, self._now()).isoformat(),
            "paid_at": "",
            "refunded_fen": 0,
        }
        return self._books.put("trades", f"{merchant}/{out_trade_no}", trade)

    def _pay(self, trade: Doc, agreement: Doc | None) -> Doc:
        moment = self._now()
        period = f"{day_in_china(moment):%Y-%m}"
        if agreement is not None:
            changes: dict[str, Any] = {
                "paid_fen": agreement["paid_fen"] + trade["amount_fen"],
                "paid_count": agreement["paid_count"] + 1,
                "last_day": day_in_china(moment).isoformat(),
            }
            if agreement["months"]:
                period = agreement["next_day"]
                due = date.fromisoformat(period)
                following = month_day(due, agreement["months"], day=due.day)
                changes["next_day"] = following.isoformat()
            self._books.change("agreements", agreement["agreement_no"], **changes)
        capture = {
            "trade_no": trade["trade_no"],
            "out_trade_no": trade["out_trade_no"],
            "agreement_no": trade["agreement_no"],
            "period": period,
            "account": trade["user_id"],
            "merchant": trade["merchant"],
            "amount_fen": trade["amount_fen"],
            "at": moment.isoformat(),
        }
        self._books.put("captures", trade["trade_no"], capture)
        return self._set(trade, status="TRADE_SUCCESS", paid_at=moment.isoformat())

    def _take(self, user_id: str, amount_fen: int) -> None:
        user = self._books.get("users", user_id)
        if user is None or user["balance_fen"] is None:
            return
        if user["balance_fen"] < amount_fen:
            raise Declined("BUYER_BALANCE_NOT_ENOUGH")
        self._books.change("users", user_id, balance_fen=user["balance_fen"] - amount_fen)

    def _set(self, trade: Doc, **fields: object) -> Doc:
        return self._books.change(
            "trades", f"{trade['merchant']}/{trade['out_trade_no']}", **fields
        )


def merchant_of(fields: Doc) -> str:
    """Return whom a call is made for."""
    return str(fields.get("app_auth_token") or fields["app_id"])


def paid_amount(trade: Doc, *, wrong: bool) -> str:
    """Return the amount as the rail writes it, one fen too much if *wrong*."""
    return yuan(trade["amount_fen"] + (1 if wrong else 0))


def _end(content: Doc, now: datetime) -> datetime:
    if "time_expire" in content:
        return read_time(content["time_expire"])
    return now + timedelta(seconds=_seconds(content.get("timeout_express", "15d")))


def _seconds(text: str) -> int:
    return int(text[:-1]) * _UNITS[text[-1]] if text != "1c" else _UNITS["d"]
