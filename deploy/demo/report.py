"""``report.json``: the figures of the whole year, and every check."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from deploy.audit import Figures, Finding

Report = dict[str, Any]


def compose(
    figures: Figures, findings: Sequence[Finding], *, seconds: float, months: int
) -> Report:
    """Return the report; ``ok`` only if every check and every figure agrees."""
    balanced = (
        figures.captured_fen - figures.refunded_fen
        == figures.credited_fen - figures.wallet_refunded_fen
    )
    clean = not (
        figures.double_captures or figures.charges_without_proof or figures.messages_duplicates
    )
    return {
        "ok": balanced and clean and all(finding.ok for finding in findings),
        "seconds": round(seconds, 1),
        "months": months,
        "agreements": dict(sorted(figures.agreements.items())),
        "charges": {
            "collected": figures.charges_collected,
            "failed_attempts": figures.failed_attempts,
            "unknown_resolved": figures.unknown_resolved,
        },
        "rail_books": {
            "captured_fen": figures.captured_fen,
            "refunded_fen": figures.refunded_fen,
            "double_captures": figures.double_captures,
        },
        "wallet": {
            "credited_fen": figures.credited_fen,
            "refunded_fen": figures.wallet_refunded_fen,
        },
        "shipments": dict(sorted(figures.shipments.items())),
        "notices": {
            "required": figures.notices_required,
            "proven": figures.notices_proven,
            "charges_without_proof": figures.charges_without_proof,
        },
        "messages": {
            "sent": figures.messages_sent,
            "duplicates": figures.messages_duplicates,
        },
        "audit": [finding.as_dict() for finding in findings],
    }


def write(report: Report, path: Path) -> None:
    """Write *report* to *path*."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")
