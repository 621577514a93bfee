"""Billing"s endpoints; importing them fills ``api``."""

from services.billing.routes import (
    agreements,
    claims,
    dunning,
    instalments,
    payments,
    reconciliation,
    refunds,
    tasks,
    webhooks,
)
from services.billing.routes.table import api

__all__ = [
    "agreements",
    "api",
    "claims",
    "dunning",
    "instalments",
    "payments",
    "reconciliation",
    "refunds",
    "tasks",
    "webhooks",
]
