"""What billing does by the clock."""

from services.billing.deps import Deps
from services.billing.store import attempts, bill_days, instalments, notices, refunds
from services.billing.usecases.attempt_due_charges import attempt_due_charges
from services.billing.usecases.check_invariants import check_invariants
from services.billing.usecases.climb_dunning import climb_dunning
from services.billing.usecases.look_after_tasks import look_after_tasks
from services.billing.usecases.open_bill_days import open_bill_days
from services.billing.usecases.query_unclear import query_unclear
from services.billing.usecases.reconcile_days import reconcile_days
from services.billing.usecases.request_notices import request_notices
from services.billing.usecases.send_prenotice import send_prenotices
from services.billing.usecases.send_refunds import send_refunds
from services.billing.usecases.sweep_unsettled import sweep_unsettled
from services.billing.usecases.watch_refunds import watch_refunds
from shared.jobs import Daily, Due, Job

JOBS: tuple[Job[Deps], ...] = (
    Due("request_notices", request_notices, instalments.NEXT_NOTICE),
    Due("send_prenotices", send_prenotices, notices.NEXT_RAIL),
    Due("attempt_due_charges", attempt_due_charges, instalments.NEXT_TRY),
    Due("query_unclear", query_unclear, attempts.NEXT_QUERY),
    Due("send_refunds", send_refunds, refunds.NEXT_SEND),
    Due("climb_dunning", climb_dunning, instalments.NEXT_DUNNING),
    Daily("sweep_unsettled", 4, 0, sweep_unsettled),
    Daily("check_invariants", 4, 0, check_invariants),
    Daily("watch_refunds", 4, 0, watch_refunds),
    Daily("look_after_tasks", 4, 0, look_after_tasks),
    Daily("open_bill_days", 10, 0, open_bill_days),
    Due("reconcile_days", reconcile_days, bill_days.NEXT_STEP),
)
