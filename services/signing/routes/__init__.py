"""Signing's endpoints, in four tables; importing them fills ``api``."""

from services.signing.routes import agreements, applications, merchants, webhooks
from services.signing.routes.table import api

__all__ = ["agreements", "api", "applications", "merchants", "webhooks"]
