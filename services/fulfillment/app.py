"""Fulfillment, put together: start reading here."""

from services.fulfillment import contract
from services.fulfillment.consumers import CONSUMERS
from services.fulfillment.deps import open_deps
from services.fulfillment.jobs import JOBS
from services.fulfillment.routes import api
from services.fulfillment.settings import FulfillmentSettings
from shared.service import Service

SERVICE = Service(
    name="fulfillment",
    settings=FulfillmentSettings,
    api=api,
    consumers=CONSUMERS,
    jobs=JOBS,
    open_deps=open_deps,
    says=tuple(getattr(contract, name) for name in contract.__all__ if name != "ShipmentItem"),
)
