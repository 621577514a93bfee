"""How much a run of each figure does."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Sizes:
    """Items in one run of each kind, and how often ours and the bare one take turns."""

    rounds: int
    events: int
    credits: int
    requests: int
    chain: int
    chain_rounds: int
    charges: int
    due: int
    """Due instalments of one big billing day."""
    pgbench_s: int
    bill_lines: int


USUAL: Final = Sizes(
    rounds=3,
    events=15_000,
    credits=15_000,
    requests=4_000,
    chain=1_000,
    chain_rounds=2,
    charges=1_500,
    due=100_000,
    pgbench_s=8,
    bill_lines=100_000,
)
QUICK: Final = Sizes(
    rounds=1,
    events=1_000,
    credits=1_000,
    requests=500,
    chain=300,
    chain_rounds=1,
    charges=500,
    due=2_000,
    pgbench_s=2,
    bill_lines=5_000,
)
