"""Wallet's endpoints; importing them fills ``api``."""

from services.wallet.routes import (
    accounts,
    merchant,
    redemptions,
    refunds,
    settlement_preview,
    shop,
    spending,
    statements,
    wallets,
)
from services.wallet.routes.table import api

__all__ = [
    "accounts",
    "api",
    "merchant",
    "redemptions",
    "refunds",
    "settlement_preview",
    "shop",
    "spending",
    "statements",
    "wallets",
]
