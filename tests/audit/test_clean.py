"""A platform whose books agree: the audit is clean, and its figures are its books'."""

from deploy.audit import CHECKS, Figures, audit, figures
from tests.audit.conftest import Platform
from tests.audit.state import FEN


async def test_a_consistent_platform_passes_every_check(platform: Platform):
    findings = await audit(platform.running, again_after_s=0)

    assert [finding for finding in findings if not finding.ok] == []
    assert len(findings) == len(CHECKS)
    assert len({finding.check for finding in findings}) == len(CHECKS)


async def test_figures_are_read_from_the_books(platform: Platform):
    assert await figures(platform.running) == Figures(
        agreements={"active": 1, "terminated": 1},
        charges_collected=3,
        failed_attempts=0,
        unknown_resolved=1,
        captured_fen=4 * FEN,
        refunded_fen=2 * FEN,
        double_captures=0,
        credited_fen=3 * FEN,
        wallet_refunded_fen=FEN,
        shipments={"delivered": 1, "planned": 1, "cancelled": 1},
        notices_required=7,
        notices_proven=7,
        charges_without_proof=0,
        messages_sent=12,
        messages_duplicates=0,
    )
