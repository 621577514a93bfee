"""Run billing: ``python -m services.billing``."""

from services.billing.app import SERVICE
from shared.service import run

run(SERVICE)
