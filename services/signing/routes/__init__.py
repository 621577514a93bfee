"""Signing's endpoints, table by table; importing them fills ``api``."""

from services.signing.routes import (
    agreements,
    applications,
    changes,
    merchants,
    publication,
    quotes,
    webhooks,
)
from services.signing.routes.table import api

__all__ = [
    "agreements",
    "api",
    "applications",
    "changes",
    "merchants",
    "publication",
    "quotes",
    "webhooks",
]
