"""``python -m services.signing``: settings from the environment, until SIGTERM."""

from services.signing.app import SERVICE
from shared.service import run

if __name__ == "__main__":
    run(SERVICE)
