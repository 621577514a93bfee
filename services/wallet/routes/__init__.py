"""Wallet"s endpoints; importing them fills ``api``."""

from services.wallet.routes import accounts, redemptions, shop, spending, wallets
from services.wallet.routes.table import api

__all__ = ["accounts", "api", "redemptions", "shop", "spending", "wallets"]
