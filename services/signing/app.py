"""Signing, put together; start reading here."""

from typing import Final

from services.signing.consumers import CONSUMERS
from services.signing.deps import Deps, open_deps
from services.signing.jobs import JOBS
from services.signing.routes import api
from services.signing.settings import SigningSettings
from shared.service import Service

SERVICE: Final = Service[SigningSettings, Deps](
    name="signing",
    settings=SigningSettings,
    api=api,
    consumers=CONSUMERS,
    jobs=JOBS,
    open_deps=open_deps,
)
