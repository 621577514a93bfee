"""Billing"s endpoints; importing them fills ``api``."""

from services.billing.routes import (
    agreements,
    changes,
    claims,
    dunning,
    evidence,
    instalments,
    orders,
    payments,
    rails,
    reconciliation,
    refunds,
    tasks,
    webhooks,
)
from services.billing.routes.table import api

__all__ = [
    "agreements",
    "api",
    "changes",
    "claims",
    "dunning",
    "evidence",
    "instalments",
    "orders",
    "payments",
    "rails",
    "reconciliation",
    "refunds",
    "tasks",
    "webhooks",
]
