"""What signing does by the clock."""

from typing import Final

from services.signing.deps import Deps
from services.signing.store import agreements, applications, changes, mandates, time_stamps
from services.signing.usecases.ask_providers import ask_providers, sweep_mandates
from services.signing.usecases.change_agreement import end_pauses
from services.signing.usecases.check_invariants import check_invariants
from services.signing.usecases.end_agreement import activate_agreements
from services.signing.usecases.end_application import expire_applications
from services.signing.usecases.take_stamps import take_stamps
from shared.jobs import Daily, Due, Job

JOBS: Final[tuple[Job[Deps], ...]] = (
    Due("activate_agreements", activate_agreements, agreements.NEXT_COOLED_OFF),
    Due("end_pauses", end_pauses, changes.NEXT_RESUMING),
    Due("expire_applications", expire_applications, applications.NEXT_EXPIRY),
    Due("ask_providers", ask_providers, mandates.NEXT_DUE),
    Due("take_stamps", take_stamps, time_stamps.NEXT_DUE),
    Daily("sweep_mandates", 4, 0, sweep_mandates),
    Daily("check_invariants", 4, 0, check_invariants),
)
