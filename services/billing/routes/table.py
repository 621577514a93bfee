"""The table that the endpoints are declared in."""

from typing import Final

from services.billing.deps import Deps
from shared.web import Api

api: Final[Api[Deps]] = Api(title="Yuefu billing", version="1")
