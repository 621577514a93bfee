"""Write transfers that nobody can have booked before."""

from collections.abc import Iterable

from services.wallet.domain.errors import BookedOtherwise
from services.wallet.domain.transfer import Transfer
from services.wallet.store import transfers
from shared.db import Connection


async def write_transfers(conn: Connection, decided: Iterable[Transfer]) -> list[Transfer]:
    """
    Write *decided* and return them, without transfers of nothing.

    The caller moves the balances, once and at its end, so that two transactions lock the
    accounts in the same order.

    Raises:
        BookedOtherwise: One of them stands already, though its cause is only now decided.
    """
    real = [transfer for transfer in decided if transfer.amount_fen]
    written = await transfers.add_new(conn, real)
    if len(written) != len(real):
        causes = {str(t.cause_id) for t in real} - {str(t.cause_id) for t in written}
        raise BookedOtherwise("A cause was booked before.", cause_ids=sorted(causes))
    return written
