"""Wallet"s endpoints; importing them fills ``api``."""

from services.wallet.routes import accounts, wallets
from services.wallet.routes.table import api

__all__ = ["accounts", "api", "wallets"]
