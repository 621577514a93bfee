"""The table of what rails permit: its figures, and what an operator may set."""

import ast
from pathlib import Path

import pytest

from shared.rails.permissions import (
    ALIPAY_CYCLE,
    CARD_WITHHOLDING,
    PERMISSIONS,
    WECHAT_24H,
    WECHAT_PRENOTICE,
    Hours,
    MerchantType,
    RefundLimits,
    offered,
    override,
)

ROOT = Path(__file__).parents[2]


def test_the_table_says_what_the_rails_say():
    assert ALIPAY_CYCLE.charge_days == frozenset(range(1, 29))
    assert (WECHAT_PRENOTICE.per_charge_fen, WECHAT_PRENOTICE.per_day_fen) == (50_000, 250_000)
    assert (WECHAT_24H.attempts_per_window, WECHAT_24H.accepted_wait_s) == (1, 86_400)
    assert WECHAT_24H.one_order_at_a_time
    assert WECHAT_PRENOTICE.merchant_types == {MerchantType.ENTERPRISE}
    assert WECHAT_PRENOTICE.refund == RefundLimits(days=365, per_charge=50)
    assert [row.calls_per_s for row in PERMISSIONS.values()] == [None, None, 150, 150, 50]


def test_what_no_page_confirms_an_operator_may_set():
    rows = override(
        {
            "alipay_cycle": {
                "per_charge_fen": 10_000,
                "due_window": {"first_day": -3, "last_day": 0},
            },
            "wechat_24h": {"merchant_types": ["enterprise", "micro"], "calls_per_s": 10},
            "card_withholding": {"charge_days": [1, 2], "refund": {"days": 30, "per_charge": 1}},
        }
    )

    assert rows["alipay", "alipay_cycle"].per_charge_fen == 10_000
    assert rows["alipay", "alipay_cycle"].due_window is not None
    assert rows["alipay", "alipay_cycle"].due_window.first_day == -3
    assert rows["wechatpay", "wechat_24h"].merchant_types == {
        MerchantType.ENTERPRISE,
        MerchantType.MICRO,
    }
    assert rows["wechatpay", "wechat_24h"].calls_per_s == 10
    assert rows["bankcard", "card_withholding"].charge_days == {1, 2}
    assert rows["wechatpay", "wechat_prenotice"] is WECHAT_PRENOTICE
    narrower = override({"wechat_prenotice": {"charge_hours": {"first": 9, "last": 18}}})
    assert narrower["wechatpay", "wechat_prenotice"].charge_hours == Hours(9, 18)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"paypal": {"per_charge_fen": 1}}, "No such product"),
        ({"alipay_cycle": {"ceiling": 1}}, "no field ceiling"),
        ({"alipay_cycle": {"charge_days": [31]}}, "settled by the rail"),
        ({"wechat_24h": {"accepted_wait_s": 1}}, "settled by the rail"),
        ({"alipay_cycle": {"unconfirmed": []}}, "settled by the rail"),
        ({"alipay_cycle": {"per_charge_fen": "much"}}, "alipay_cycle"),
        ({"alipay_cycle": {"per_charge_fen": 0}}, "below one"),
        ({"wechat_prenotice": {"calls_per_s": 151}}, "150 calls a second"),
        ({"wechat_prenotice": {"charge_hours": {"first": 6, "last": 22}}}, "at these hours"),
        ({"card_withholding": {"charge_hours": {"first": 22, "last": 7}}}, "no such hours"),
        ({"card_withholding": {"charge_days": [0]}}, "days of a month"),
        ({"card_withholding": {"merchant_types": ["anybody"]}}, "card_withholding"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, why):
    with pytest.raises(ValueError, match=why):
        override(changes)


def test_a_contract_may_be_for_another_product_of_the_rail():
    rows = override({})
    assert offered("wechatpay", {}, rows) is WECHAT_PRENOTICE
    assert offered("wechatpay", {"wechatpay": "wechat_24h"}, rows) is WECHAT_24H
    assert offered("bankcard", {}, rows) is CARD_WITHHOLDING
    with pytest.raises(ValueError, match="alipay has no product wechat_24h"):
        offered("alipay", {"alipay": "wechat_24h"}, rows)


def test_no_name_of_a_rail_or_product_decides_anything_elsewhere():
    """A comparison with a rail's or product's name stands in no service's code."""
    names = {row.rail for row in PERMISSIONS.values()} | {r.product for r in PERMISSIONS.values()}
    members = {"ALIPAY", "WECHATPAY", "BANKCARD"}
    # Which of the customer's accounts pays, and which app carries a message, are no permissions.
    allowed = {"services/signing/domain/application.py", "services/notify/domain/contact.py"}

    def named(node: ast.expr) -> bool:
        return (isinstance(node, ast.Constant) and node.value in names) or (
            isinstance(node, ast.Attribute)
            and node.attr in members
            and isinstance(node.value, ast.Name)
            and node.value.id == "Rail"
        )

    found = set()
    for path in (ROOT / "services").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            compared = isinstance(node, ast.Compare) and any(
                named(one) for one in (node.left, *node.comparators)
            )
            matched = isinstance(node, ast.MatchValue) and named(node.value)
            if compared or matched:
                found.add(str(path.relative_to(ROOT)))

    assert found - allowed == set()
