"""What money, parcels and messages came to, without ids and moments: equal lives are equal."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeAlias

from tests.support.world import World

Bags: TypeAlias = Mapping[str, Counter[str]]
"""By subject: each line as often as it stands."""

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

TABLES: Mapping[str, str] = {
    "signing.agreements": "SELECT agreement_no <> '' AS numbered, state, total_fen FROM agreements",
    "signing.mandates": "SELECT rail, state FROM mandates",
    "signing.applications": "SELECT state FROM applications",
    "billing.agreements": "SELECT rail, state, failed_periods FROM agreements",
    "billing.instalments": "SELECT seq, state, amount_fen FROM instalments",
    "billing.succeeded": (
        "SELECT rail, amount_fen, surplus FROM attempts WHERE state = 'succeeded'"
    ),
    "billing.refunds": "SELECT rail, amount_fen, state FROM refunds",
    "wallet.accounts": "SELECT code, balance_fen FROM accounts WHERE balance_fen <> 0",
    "wallet.transfers": (
        "SELECT kind, debit_account, credit_account, sum(amount_fen)::bigint AS fen, count(*) AS n"
        " FROM transfers GROUP BY kind, debit_account, credit_account"
    ),
    "wallet.holds": "SELECT amount_fen, captured_fen, state FROM holds",
    "fulfillment.shipments": "SELECT seq, state, hold_fen FROM shipments",
    "notify.messages": "SELECT cause, channel, template_key FROM messages",
}
"""By service and subject: everything that must not depend on luck."""


async def tables(world: World, *services: str) -> dict[str, Counter[str]]:
    """Return the lasting rows of *services* (all of them if none is named), as bags of lines."""
    wanted = services or tuple(world.members)
    return {
        name: Counter(_line(row) for row in await world.rows(name.partition(".")[0], query))
        for name, query in TABLES.items()
        if name.partition(".")[0] in wanted
    }


def outside(world: World) -> dict[str, Counter[str]]:
    """Return what the simulators have on record."""
    found = {
        f"{rail}.captures": Counter(str(row["amount_fen"]) for row in world.books(rail, "captures"))
        for rail in ("alipay", "wechatpay")
    }
    for rail in ("alipay", "wechatpay"):
        refunds = world.books(rail, "refunds")
        found[f"{rail}.refunds"] = Counter(str(row["amount_fen"]) for row in refunds)
    found["jst.orders"] = Counter(str(row["status"]) for row in world.books("jst", "orders"))
    found["sms"] = Counter(
        f"{row['phone']} {row['template']}" for row in world.books("sms", "messages")
    )
    found["wechat"] = Counter(
        f"{row['openid']} {row['template_id']}" for row in world.books("wechat", "messages")
    )
    found["alipay.messages"] = Counter(
        f"{row['account']} {row['template_id']}" for row in world.books("alipay", "messages")
    )
    return found


def differences(found: Bags, wanted: Bags) -> list[str]:
    """Return what is too much (+) or missing (-), line by line."""
    more = [f"+ {name}: {line} x{n}" for name in found for line, n in _minus(found, wanted, name)]
    less = [f"- {name}: {line} x{n}" for name in wanted for line, n in _minus(wanted, found, name)]
    return more + less


def _minus(one: Bags, other: Bags, name: str) -> list[tuple[str, int]]:
    return sorted((one[name] - other.get(name, Counter())).items())


def _line(row: Mapping[str, Any]) -> str:
    return _ID.sub("<id>", " ".join(f"{name}={value}" for name, value in row.items()))
