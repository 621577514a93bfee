"""The night's work on merchants' money, in its order."""

from services.wallet.deps import Deps
from services.wallet.usecases.assess_guarantees import assess_guarantees
from services.wallet.usecases.issue_statements import issue_statements


async def close_day(deps: Deps) -> int:
    """State the days that have ended, then measure the deposits; return what was moved."""
    issued = await issue_statements(deps)
    return issued + await assess_guarantees(deps)
