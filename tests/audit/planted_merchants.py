"""Errors in merchants' own money: the check that finds each, what it names, and the error."""

from typing import Final
from uuid import UUID

from shared.ids import derived_id
from tests.audit.state import MERCHANT

PAYOUT: Final = derived_id("audit", "payout")
STATEMENT: Final = derived_id("audit", "statement")

_PAID_OUT: Final = (
    "INSERT INTO wallet.payouts (merchant_id, payout_id, beneficiary, account, "
    "account_ref, amount_fen, day, state, created_at, ended_at) "
    f"VALUES ('{MERCHANT}', '{PAYOUT}', 'merchant', 'merchant:payable', 'acct_x', 5, "
    "'2027-03-01', 'succeeded', now(), now())"
)

MERCHANTS: Final[tuple[tuple[str, str | UUID, str], ...]] = (
    (
        "supervised account = reconciled days + deposits - payouts",
        MERCHANT,
        (
            "INSERT INTO wallet.reconciled_days "
            f"VALUES ('{MERCHANT}', uuidv7(), 'alipay', '2027-03-01', 100, 0, 1, now())"
        ),
    ),
    (
        "accounts stand in the escrow equation",
        f"{MERCHANT} cash",
        (
            "INSERT INTO wallet.accounts (merchant_id, code, normal_side) "
            f"VALUES ('{MERCHANT}', 'cash', 'debit')"
        ),
    ),
    (
        "payouts = wallet transfers of payouts",
        PAYOUT,
        _PAID_OUT,
    ),
    (
        "succeeded payouts = the channel's transfers",
        PAYOUT,
        _PAID_OUT,
    ),
    (
        "statements = their transfers",
        STATEMENT,
        (
            "INSERT INTO wallet.statements "
            f"VALUES ('{MERCHANT}', '{STATEMENT}', 'day', '2027-03-01', '2027-03-01', '{{}}', 0, "
            "7, 0, '', '', '', now())"
        ),
    ),
    (
        "advances = ledger's advances, within their receivables",
        MERCHANT,
        (
            "INSERT INTO wallet.advances (merchant_id, advance_id, state, amount_fen, covered_fen, "
            "interest_ppm, quote_ref, valid_until, asked_at) "
            f"VALUES ('{MERCHANT}', uuidv7(), 'quoted', 51, 100, 300, 'Q1', now(), now())"
        ),
    ),
)
