"""The table that the endpoints are declared in."""

from typing import Final

from services.wallet.deps import Deps
from shared.web import Api

api: Final[Api[Deps]] = Api(title="Yuefu wallet", version="1")
