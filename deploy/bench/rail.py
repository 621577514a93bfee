"""The simulated Alipay with many customers who have agreed to be charged."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from deploy.bench.ground import NOW
from deploy.processes import free_port
from deploy.sandbox import keys
from deploy.sandbox.kit_books import Books
from deploy.sandbox.kit_faults import FaultScripts
from deploy.supervisor import Child, Program

PAYER: Final = "2088000000000001"
"""One wallet without end pays for everybody."""
PAYEE: Final = "2088111122223333"
FOR_EVER: Final = "2099-01-01T00:00:00+00:00"


def agreement_no(number: int) -> str:
    """Return Alipay's number of the agreement of customer *number*, from 0."""
    return f"20261210{number:012d}"


def lay_agreements(directory: Path, books: Path, count: int, *, silent: bool) -> None:
    """
    Make keys, and books in which *count* customers have agreed to general withholding.

    *silent*: no notification follows a charge.
    """
    keys.make(directory)
    books.parent.mkdir(parents=True, exist_ok=True)
    app_id = keys.secret(directory, "alipay_app_id")
    written = Books(books)
    for number in range(count):
        written.put("agreements", agreement_no(number), _agreement(number, app_id))
    if silent:
        step = {"on": "notify", "do": "drop", "until": FOR_EVER}
        FaultScripts(written).set(PAYER, [step])
    written.close()


def _agreement(number: int, app_id: str) -> dict[str, object]:
    return {
        "agreement_no": agreement_no(number),
        "external_agreement_no": "",
        "user_id": PAYER,
        "app_id": app_id,
        "merchant": app_id,
        "product_code": "GENERAL_WITHHOLDING",
        "personal_product_code": "GENERAL_WITHHOLDING_P",
        "sign_scene": "INDUSTRY|MALL",
        "status": "NORMAL",
        "sign_time": "2026-11-01 12:00:00",
        "paid_fen": 0,
        "paid_count": 0,
        "months": 0,
        "next_day": "",
        "single_fen": None,
    }


@asynccontextmanager
async def simulated_rail(work: Path, customers: int) -> AsyncIterator[str]:
    """Run the simulator as a process of its own; yield its base URL."""
    books = work / "sandbox" / "alipay.sqlite"
    await asyncio.to_thread(lay_agreements, work / "keys", books, customers, silent=True)
    url = f"http://127.0.0.1:{(port := free_port())}"
    program = Program(
        name="alipay",
        kind="simulator",
        module="deploy.sandbox.alipay",
        url=url,
        probes=(f"{url}/healthz",),
        arguments=[
            *("--port", str(port), "--keys", str(work / "keys")),
            *("--books", str(books), "--now", NOW.isoformat()),
        ],
    )
    child = Child(program, logs=work, restart=False, changed=lambda _: None)
    child.start()
    try:
        await child.ready()
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            await child.stop()
