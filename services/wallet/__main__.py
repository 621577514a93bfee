"""Run wallet: ``python -m services.wallet``."""

from services.wallet.app import SERVICE
from shared.service import run

run(SERVICE)
