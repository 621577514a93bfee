"""What wallet does by the clock."""

from services.wallet.deps import Deps
from services.wallet.usecases.check_invariants import check_invariants
from shared.jobs import Daily, Job

JOBS: tuple[Job[Deps], ...] = (Daily("check_invariants", 4, 0, check_invariants),)
