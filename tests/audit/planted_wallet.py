"""Errors planted in wallet's bonus and in its chain: the check that finds each, and its id."""

from typing import Final
from uuid import UUID

from shared.ids import derived_id
from tests.audit.state import MERCHANT, REFUND, A, instalment

STRANGER: Final = derived_id("audit", "stranger")
SEALED: Final = "sealed transfers stand as they were sealed"
CHAIN: Final = "seals are an unbroken chain"

WALLET: Final[tuple[tuple[str, str | UUID, str], ...]] = (
    (
        "ledgers = transfers and holds",
        A,
        f"UPDATE wallet.ledgers SET bonus_credited_fen = 1 WHERE agreement_id = '{A}'",
    ),
    (
        "bonus granted = instalments paid or given",
        STRANGER,
        f"""
        INSERT INTO wallet.transfers
               (merchant_id, cause_id, kind, cause_kind, debit_account, credit_account,
                amount_fen, customer_id, agreement_id, occurred_at)
        SELECT merchant_id, '{STRANGER}', 'bonus_granted', cause_kind, 'merchant:promotion',
               credit_account, amount_fen, customer_id, agreement_id, occurred_at
          FROM wallet.transfers WHERE kind = 'collected' LIMIT 1
        """,
    ),
    (
        SEALED,
        f"{instalment(A, 1)} collected",
        (
            "UPDATE wallet.transfers SET amount_fen = amount_fen + 1"
            f" WHERE kind = 'collected' AND cause_id = '{instalment(A, 1)}'"
        ),
    ),
    (
        SEALED,
        f"{REFUND} refunded",
        f"UPDATE wallet.transfers SET credit_account = 'rail:x' WHERE cause_id = '{REFUND}'",
    ),
    (
        SEALED,
        f"{REFUND} refunded",
        f"DELETE FROM wallet.transfers WHERE kind = 'refunded' AND cause_id = '{REFUND}'",
    ),
    (
        CHAIN,
        f"{MERCHANT} 1",
        f"DELETE FROM wallet.sealed_transfers WHERE cause_id = '{REFUND}'",
    ),
    (CHAIN, f"{MERCHANT} 1", "DELETE FROM wallet.seals"),
    (CHAIN, f"{MERCHANT} 1", r"UPDATE wallet.seals SET previous = '\x01'"),
    (CHAIN, f"{MERCHANT} 1", "UPDATE wallet.seals SET digest = sha256(digest)"),
)
