"""Notify as a whole: its three tables and what they need."""

from services.notify.consumers import CONSUMERS
from services.notify.contract import (
    ContactOptedOut,
    MessageAccepted,
    MessageDelivered,
    MessageFailed,
    MessageUnknown,
)
from services.notify.deps import Deps, open_deps
from services.notify.jobs import JOBS
from services.notify.routes import api
from services.notify.settings import NotifySettings
from shared.service import Service

SERVICE: Service[NotifySettings, Deps] = Service(
    name="notify",
    settings=NotifySettings,
    api=api,
    consumers=CONSUMERS,
    jobs=JOBS,
    open_deps=open_deps,
    says=(ContactOptedOut, MessageAccepted, MessageDelivered, MessageFailed, MessageUnknown),
)
