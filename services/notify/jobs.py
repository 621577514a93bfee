"""What notify does by the clock."""

from services.notify.deps import Deps
from services.notify.store import messages
from services.notify.usecases.check_invariants import check_invariants
from services.notify.usecases.query_receipts import query_missing_receipts
from services.notify.usecases.submit_due_messages import submit_due_messages
from shared.jobs import Daily, Due, Job

JOBS: tuple[Job[Deps], ...] = (
    Due("submit_due_messages", submit_due_messages, messages.NEXT_DUE),
    Due("query_missing_receipts", query_missing_receipts, messages.NEXT_RECEIPT_DUE),
    Daily("check_invariants", 4, 0, check_invariants),
)
