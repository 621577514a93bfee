"""The books behind the card aggregator: contracts, orders, refunds, and what banks refuse."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from deploy.sandbox.kit_books import Books, Doc
from shared.calendar import CHINA, day_in_china

PER_DAY_FEN: Final = 1_000_000
"""What one card gives in a day."""
HOURS: Final = range(7, 22)
REFUND_DAYS: Final = 180
WRONG_CODES: Final = 3
CONTRACT_LIFE: Final = timedelta(days=10 * 365)
SMS_CODE: Final = "246810"


class Declined(Exception):
    """The aggregator or a bank says no."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class CardBank:
    """Decides, and remembers."""

    def __init__(
        self, books: Books, now: Callable[[], datetime], number: Callable[[str], int]
    ) -> None:
        self._books = books
        self._now = now
        self._number = number

    def accounts(self, content: Doc) -> list[str]:
        """Return under which names a fault script may mean this call."""
        order = self._books.get("orders", str(content.get("order_no", "")))
        contract = self.by_number(str(content.get("contract_no", "")))
        named = (
            content.get("user_no", ""),
            "" if contract is None else contract["account"],
            "" if order is None else order["account"],
            *(
                str(content.get(name, ""))
                for name in ("order_no", "contract_no", "external_no", "day")
            ),
        )
        return [name for name in named if name]

    # Contracts

    def invite(self, content: Doc) -> str:
        """Open a page for signing; the same contract again has the same page."""
        external = content["external_no"]
        known = self._books.get("contracts", external)
        if known is not None:
            if known["state"] != "PENDING":
                raise Declined("CONTRACT_EXISTS")
            return str(known["sign_token"])
        token = f"ST{self._number('sign'):016d}"
        self._books.put(
            "contracts",
            external,
            {
                "external_no": external,
                "contract_no": "",
                "account": content["user_no"],
                "ceiling_fen": int(content["ceiling_fen"]),
                "sign_token": token,
                "state": "PENDING",
                "wrong_codes": 0,
                "signed_at": "",
                "ended_at": "",
                "ended_by": "",
                "notify_url": content["notify_url"],
            },
        )
        return token

    def sign(self, user_no: str, token: str, code: str) -> Doc:
        """Let the customer sign with the code that the bank sent."""
        rows = self._books.all("contracts")
        row = next((one for one in rows if one["sign_token"] == token), None)
        if row is None or row["account"] != user_no or row["state"] != "PENDING":
            raise Declined("SIGN_TOKEN_INVALID")
        user = self._books.get("users", user_no) or {}
        if code != user.get("sms_code", SMS_CODE):
            wrong = row["wrong_codes"] + 1
            state = "ENDED" if wrong >= WRONG_CODES else "PENDING"
            self._change(row, wrong_codes=wrong, state=state, ended_at=self._now().isoformat())
            raise Declined("SMS_CODE_WRONG")
        number = f"CC{self._number('contract'):020d}"
        self._books.put("_numbers", number, {"external_no": row["external_no"]})
        return self._change(
            row, state="ACTIVE", contract_no=number, signed_at=self._now().isoformat(), ended_at=""
        )

    def contract(self, external_no: str) -> Doc:
        """Return a contract by the merchant's number; declines one that never was."""
        row = self._books.get("contracts", external_no)
        if row is None:
            raise Declined("CONTRACT_NOT_FOUND")
        return row

    def by_number(self, number: str) -> Doc | None:
        """Return a contract by the aggregator's number."""
        key = self._books.get("_numbers", number)
        return None if key is None else self._books.get("contracts", key["external_no"])

    def end(self, row: Doc, who: str) -> Doc:
        """End a contract."""
        return self._change(row, state="ENDED", ended_at=self._now().isoformat(), ended_by=who)

    def shown_contract(self, row: Doc) -> Doc:
        """Return what is told of a contract."""
        names = ("external_no", "contract_no", "state", "signed_at", "ended_at", "ended_by")
        told = {name: row[name] for name in names} | {"user_no": row["account"]}
        if row["signed_at"]:
            until = datetime.fromisoformat(row["signed_at"]) + CONTRACT_LIFE
            told["valid_until"] = until.astimezone(CHINA).date().isoformat()
        return told

    def _change(self, row: Doc, **fields: object) -> Doc:
        return self._books.change("contracts", row["external_no"], **fields)

    # Orders

    def charge(self, content: Doc, *, decline: str) -> tuple[Doc, bool]:
        """Accept an automatic charge; return it and whether it is new.  *decline*: its result."""
        amount_fen, contract_no = int(content["amount_fen"]), content["contract_no"]
        known = self._books.get("orders", content["order_no"])
        if known is not None:
            same = (known["amount_fen"], known["contract_no"]) == (amount_fen, contract_no)
            if not same or known["status"] in {"FAILED", "CLOSED"}:
                raise Declined("ORDER_NO_USED")
            return known, False
        contract = self.by_number(contract_no)
        if contract is None:
            raise Declined("CONTRACT_NOT_FOUND")
        if contract["state"] != "ACTIVE":
            raise Declined("CONTRACT_ENDED")
        if self._now().astimezone(CHINA).hour not in HOURS:
            raise Declined("OUTSIDE_HOURS")
        if not 1 <= amount_fen <= contract["ceiling_fen"]:
            raise Declined("AMOUNT_ABOVE_CONTRACT")
        order = self._order(content, contract["account"], "PROCESSING")
        return self._put(order | {"contract_no": contract_no, "decline": decline}), True

    def execute(self, order_no: str) -> Doc:
        """Ask the card's bank; return the order as it ended."""
        order = self.order(order_no)
        if order["status"] != "PROCESSING":
            return order
        try:
            if order["decline"]:
                raise Declined(order["decline"])  # noqa: TRY301 - one way out for every no
            self._take(order["account"], order["amount_fen"])
        except Declined as no:
            return self._put(order | {"status": "FAILED", "fail_code": no.code})
        return self._paid(order)

    def open(self, content: Doc) -> Doc:
        """Open an order that the customer pays; again with the same content is fine."""
        known = self._books.get("orders", content["order_no"])
        if known is not None:
            if known["status"] == "SUCCEEDED":
                raise Declined("ORDER_PAID")
            same = known["amount_fen"] == int(content["amount_fen"])
            if not same or known["status"] != "UNPAID":
                raise Declined("ORDER_NO_USED")
            return known
        order = self._order(content, content["user_no"], "UNPAID")
        order |= {"expires_at": content["expires_at"], "pay_token": f"PT{order['trade_no']}"}
        return self._put(order)

    def pay(self, user_no: str, token: str) -> Doc:
        """Let the customer pay an order."""
        rows = self._books.all("orders")
        order = next((one for one in rows if one["pay_token"] == token), None)
        if order is None or order["account"] != user_no:
            raise Declined("ORDER_NOT_FOUND")
        late = self._now() >= datetime.fromisoformat(order["expires_at"])
        if order["status"] != "UNPAID" or late:
            raise Declined("ORDER_CLOSED")
        self._take(user_no, order["amount_fen"])
        return self._paid(order)

    def close(self, order_no: str) -> Doc:
        """Close an unpaid order; again is fine."""
        order = self.order(order_no)
        return self._put(order | {"status": "CLOSED"}) if order["status"] == "UNPAID" else order

    def order(self, order_no: str) -> Doc:
        """Return an order; declines one that never came."""
        order = self._books.get("orders", order_no)
        if order is None:
            raise Declined("ORDER_NOT_FOUND")
        return order

    def _order(self, content: Doc, account: str, status: str) -> Doc:
        return {
            "order_no": content["order_no"],
            "trade_no": f"CT{self._number('trade'):024d}",
            "contract_no": "",
            "account": account,
            "amount_fen": int(content["amount_fen"]),
            "status": status,
            "fail_code": "",
            "decline": "",
            "pay_token": "",
            "expires_at": "",
            "paid_at": "",
            "refunded_fen": 0,
            "notify_url": content["notify_url"],
        }

    def _paid(self, order: Doc) -> Doc:
        moment = self._now().isoformat()
        capture = {
            "trade_no": order["trade_no"],
            "out_trade_no": order["order_no"],
            "contract_no": order["contract_no"],
            "account": order["account"],
            "amount_fen": order["amount_fen"],
            "at": moment,
        }
        self._books.put("captures", order["trade_no"], capture)
        return self._put(order | {"status": "SUCCEEDED", "paid_at": moment})

    def _put(self, order: Doc) -> Doc:
        return self._books.put("orders", order["order_no"], order)

    # Refunds

    def refund(self, content: Doc) -> tuple[Doc, bool]:
        """Accept a refund; return it and whether it is new."""
        order, amount_fen = self.order(content["order_no"]), int(content["amount_fen"])
        known = self._books.get("refunds", content["refund_no"])
        if known is not None:
            if (known["amount_fen"], known["out_trade_no"]) != (amount_fen, order["order_no"]):
                raise Declined("REFUND_NO_USED")
            return known, False
        if order["status"] != "SUCCEEDED":
            raise Declined("ORDER_NOT_PAID")
        age = self._now() - datetime.fromisoformat(order["paid_at"])
        if age.days > REFUND_DAYS:
            raise Declined("REFUND_TOO_LATE")
        if amount_fen < 1 or order["refunded_fen"] + amount_fen > order["amount_fen"]:
            raise Declined("REFUND_TOO_MUCH")
        self._put(order | {"refunded_fen": order["refunded_fen"] + amount_fen})
        refund = {
            "refund_no": content["refund_no"],
            "out_trade_no": order["order_no"],
            "trade_no": order["trade_no"],
            "account": order["account"],
            "amount_fen": amount_fen,
            "status": "PROCESSING",
            "fail_code": "",
            "at": "",
            "notify_url": content.get("notify_url", ""),
        }
        return self._books.put("refunds", refund["refund_no"], refund), True

    def finish_refund(self, refund_no: str, decline: str) -> Doc:
        """End an accepted refund; *decline* is why the bank does not take it."""
        refund = self._books.get("refunds", refund_no)
        assert refund is not None
        moment = self._now().isoformat()
        if decline:
            return self._books.change(
                "refunds", refund_no, status="FAILED", fail_code=decline, at=moment
            )
        self._take(refund["account"], -refund["amount_fen"])
        return self._books.change("refunds", refund_no, status="SUCCEEDED", at=moment)

    # Customers

    def set_user(self, user_no: str, fields: Doc) -> Doc:
        """Set what a card has (None: without end) and the code its bank sends."""
        known = self._books.get("users", user_no) or {"user_no": user_no, "balance_fen": None}
        return self._books.put("users", user_no, known | fields)

    def _take(self, user_no: str, amount_fen: int) -> None:
        today = day_in_china(self._now())
        spent = sum(
            row["amount_fen"]
            for row in self._books.all("captures")
            if row["account"] == user_no
            and day_in_china(datetime.fromisoformat(row["at"])) == today
        )
        if amount_fen > 0 and spent + amount_fen > PER_DAY_FEN:
            raise Declined("DAILY_LIMIT_EXCEEDED")
        user = self._books.get("users", user_no)
        if user is None or user["balance_fen"] is None:
            return
        if user["balance_fen"] < amount_fen:
            raise Declined("INSUFFICIENT_FUNDS")
        self._books.change("users", user_no, balance_fen=user["balance_fen"] - amount_fen)

    def summary(self) -> Doc:
        """Return the totals an auditor wants first; a refund counts when it has succeeded."""
        captures = list(self._books.all("captures"))
        orders = Counter(row["out_trade_no"] for row in captures)
        days = Counter(
            (row["contract_no"], day_in_china(datetime.fromisoformat(row["at"])))
            for row in captures
            if row["contract_no"]
        )
        done = [row for row in self._books.all("refunds") if row["status"] == "SUCCEEDED"]
        return {
            "captured_fen": sum(row["amount_fen"] for row in captures),
            "refunded_fen": sum(row["amount_fen"] for row in done),
            "captures": len(captures),
            "refunds": len(done),
            "double_captures": sum(count - 1 for many in (orders, days) for count in many.values()),
        }


def shown(order: Doc) -> Doc:
    """Return what is told of an order."""
    names = ("order_no", "trade_no", "status", "amount_fen", "fail_code", "paid_at")
    return {name: order[name] for name in names}
