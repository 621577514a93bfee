"""What a plan gives and asks beside its even amounts, as it is sent and shown."""

from typing import Annotated, Literal

from pydantic import Field

from shared.web import Body, FenAmount, View


class NewOffer(Body):
    """What the plan gives and asks beside even amounts; nothing by default."""

    discount_fen: FenAmount = Field(default=0, description="Off each period.")
    free_periods: Annotated[list[Annotated[int, Field(ge=1, le=24)]], Field(max_length=23)] = Field(
        default_factory=list, description="Numbers of the periods that cost nothing."
    )
    first_month_half: bool = False
    interest_free_months: Annotated[int, Field(ge=0, le=24)] = 0
    down_payment_fen: FenAmount = 0
    down_payment_per_mille: Annotated[int, Field(ge=0, le=999)] = Field(
        default=0, description="Share of the cash price; instead of a fixed amount."
    )
    round_to_fen: Literal[1, 100] = Field(
        default=1, description="100 makes periods whole yuan; the last one takes the rest."
    )


class NewOverduePenalty(Body):
    """What being late costs; simple, and never for prepaid plans."""

    rate_ppm_per_day: Annotated[int, Field(ge=1, le=1000)] = Field(
        description="Millionths of the overdue principal for each day."
    )
    grace_days: Annotated[int, Field(ge=0, le=60)] = 0
    cap_per_mille: Annotated[int, Field(ge=1, le=1000)] = Field(
        description="Thousandths of the overdue principal that are never exceeded."
    )


class OfferView(View):
    """What the plan gives and asks beside even amounts."""

    discount_fen: int
    free_periods: list[int]
    first_month_half: bool
    interest_free_months: int
    down_payment_fen: int
    down_payment_per_mille: int
    round_to_fen: int
