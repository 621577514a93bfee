"""``python -m services.fulfillment``: run the service until it is told to stop."""

from services.fulfillment.app import SERVICE
from shared.service import run

if __name__ == "__main__":
    run(SERVICE)
