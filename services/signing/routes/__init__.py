"""Signing's endpoints, in six tables; importing them fills ``api``."""

from services.signing.routes import (
    agreements,
    applications,
    changes,
    merchants,
    publication,
    webhooks,
)
from services.signing.routes.table import api

__all__ = ["agreements", "api", "applications", "changes", "merchants", "publication", "webhooks"]
