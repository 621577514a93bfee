"""Billing"s endpoints; importing them fills ``api``."""

from services.billing.routes import agreements, instalments, payments, refunds, tasks, webhooks
from services.billing.routes.table import api

__all__ = ["agreements", "api", "instalments", "payments", "refunds", "tasks", "webhooks"]
