"""What wallet does by the clock."""

from services.wallet.deps import Deps
from services.wallet.store import advances, payouts
from services.wallet.usecases.check_invariants import check_invariants
from services.wallet.usecases.close_day import close_day
from services.wallet.usecases.send_payouts import send_payouts
from services.wallet.usecases.settle_merchants import settle_merchants
from services.wallet.usecases.take_advances import send_draws
from shared.jobs import Daily, Due, Job

JOBS: tuple[Job[Deps], ...] = (
    Daily("check_invariants", 4, 0, check_invariants),
    Daily("close_day", 4, 0, close_day),
    Daily("settle_merchants", 10, 0, settle_merchants),
    Due("send_payouts", send_payouts, payouts.NEXT_DUE),
    Due("send_draws", send_draws, advances.NEXT_DUE),
)
