"""How the rails stand, for those who operate the platform."""

from datetime import datetime

from shared.web import View


class ProductView(View):
    """What one product of a rail permits; amounts in fen, hours in China, None: no such rule."""

    product: str
    charge_days: list[int]
    first_hour: int
    last_hour: int
    per_charge_fen: int | None
    per_day_fen: int | None
    per_month_fen: int | None
    attempts_per_window: int | None
    calls_per_s: int | None
    refund_days: int | None
    refunds_per_charge: int | None
    merchant_types: list[str]
    unconfirmed: list[str]


class RailView(View):
    """
    One rail; ``state`` is ``closed`` while it answers, ``open`` while it is left alone.

    ``half_open``: one order is finding out.  ``until`` is when the next one may.
    """

    rail: str
    state: str
    failures: int
    opens: int
    opened_at: datetime | None
    until: datetime | None
    reason: str
    products: list[ProductView]


class RailList(View):
    """All rails."""

    rails: list[RailView]
