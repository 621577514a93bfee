"""
The counter: codes, redemptions, what was accepted offline, returns, refusals.

A shop's key has ``wallet:shop``; what its clerk may do besides, ``wallet:redeem`` or
``wallet:return``, is asked here and not at the door, so that a clerk's refusal is kept.
"""

import base64
import binascii
from datetime import datetime
from typing import Final
from uuid import UUID

from services.wallet.contract.redemptions import (
    CodeView,
    LineView,
    NewCode,
    NewRedemption,
    NewReturn,
    NewUpload,
    OfflineLineBody,
    PartView,
    RedemptionFilter,
    RedemptionStoryView,
    RedemptionView,
    RefusalView,
    UploadView,
)
from services.wallet.contract.states import RedemptionState
from services.wallet.deps import Deps
from services.wallet.domain import redemption_errors as no
from services.wallet.domain.errors import WalletUnknown
from services.wallet.routes.table import api
from services.wallet.store import redemptions, refusals, shop
from services.wallet.usecases.issue_code import issue_code
from services.wallet.usecases.note_refusals import noting
from services.wallet.usecases.redeem import OfflineLine, Sale, redeem, take_offline_line
from services.wallet.usecases.return_redemption import return_redemption
from shared.errors import Conflict, NotFound, Problem, Rejected
from shared.web import Call, Page, PageQuery
from shared.web.call import ScopeMissing

CODE_PROBLEMS: Final[tuple[type[Problem], ...]] = (
    no.CodeUnreadable,
    no.CodeForged,
    no.CodeForeign,
    no.CodeExpired,
    no.CodeUsed,
    no.AmountInvalid,
    no.AmountAboveCode,
    no.AmountAboveCeiling,
    WalletUnknown,
)


@api.post(
    "/v1/customers/{customer_id}/redemption-codes",
    scope="wallet:code",
    status=201,
    tags=("redemptions",),
    problems=(WalletUnknown, no.AmountInvalid, no.AmountAboveCeiling, no.TooManyCodes),
)
async def make_code(call: Call[Deps], customer_id: UUID, body: NewCode) -> CodeView:
    """
    Make a one-time code for a customer, valid for some minutes.

    It reserves nothing.  Ask for a fresh one whenever the page is shown.
    """
    async with noting(
        call.deps,
        merchant_id=call.tenant_id,
        action="code",
        clerk=call.caller.key_id,
        customer_id=customer_id,
        amount_fen=body.max_amount_fen,
    ):
        code, text = await issue_code(
            call.deps,
            merchant_id=call.tenant_id,
            customer_id=customer_id,
            code_id=call.new_id("code"),
            max_amount_fen=body.max_amount_fen,
        )
    return CodeView(
        code_id=code.code_id,
        code=text,
        max_amount_fen=code.max_amount_fen or None,
        offline_limit_fen=code.offline_limit_fen,
        expires_at=code.expires_at,
    )


@api.post(
    "/v1/redemptions",
    scope="wallet:shop",
    status=201,
    tags=("redemptions",),
    problems=(*CODE_PROBLEMS, no.BalanceTooLow, no.ServiceUnknown, ScopeMissing),
)
async def make_redemption(call: Call[Deps], body: NewRedemption) -> RedemptionView:
    """
    Redeem a customer's code, once: bonus is spent first, then principal.

    Needs the scope `wallet:redeem` besides.  Every refusal is kept.
    """
    async with noting(
        call.deps,
        merchant_id=call.tenant_id,
        action="redeem",
        clerk=call.caller.key_id,
        amount_fen=body.amount_fen,
    ):
        call.caller.require("wallet:redeem")
        redeemed = await redeem(
            call.deps,
            merchant_id=call.tenant_id,
            redemption_id=call.new_id("redemption"),
            sale=Sale(
                code=body.code,
                category=body.category,
                amount_fen=body.amount_fen,
                service_code=body.service_code,
                store_id=body.store_id,
                clerk=call.caller.key_id,
            ),
        )
    return RedemptionView.model_validate(redeemed)


@api.post(
    "/v1/redemption-devices/{device_id}/uploads",
    scope="wallet:shop",
    tags=("redemptions",),
    problems=(no.DeviceUnknown, ScopeMissing),
)
async def upload(call: Call[Deps], device_id: UUID, body: NewUpload) -> UploadView:
    """
    Bring in what a device accepted while it was offline; each line stands for itself.

    Needs the scope `wallet:redeem` besides.  Lines that come again change nothing.
    """
    async with noting(
        call.deps,
        merchant_id=call.tenant_id,
        action="upload",
        clerk=call.caller.key_id,
        device_id=device_id,
    ):
        call.caller.require("wallet:redeem")
        async with call.deps.db.connection() as conn:
            if await shop.find_device(conn, call.tenant_id, device_id) is None:
                raise no.DeviceUnknown("No such device.", device_id=str(device_id))
    return UploadView(lines=[await _line(call, device_id, line) for line in body.lines])


async def _line(call: Call[Deps], device_id: UUID, line: OfflineLineBody) -> LineView:
    try:
        async with noting(
            call.deps,
            merchant_id=call.tenant_id,
            action="upload",
            clerk=call.caller.key_id,
            device_id=device_id,
            amount_fen=line.amount_fen,
        ):
            taken, repeated = await take_offline_line(
                call.deps,
                merchant_id=call.tenant_id,
                device_id=device_id,
                line=OfflineLine(
                    code=line.code,
                    amount_fen=line.amount_fen,
                    category=line.category,
                    service_code=line.service_code,
                    accepted_at=line.accepted_at,
                    signature=_signature(line.signature),
                ),
            )
    except (NotFound, Conflict, Rejected) as problem:
        return LineView(outcome="refused", problem=problem.code, detail=problem.detail)
    short = taken.state is RedemptionState.SHORT
    return LineView(
        outcome="short" if short else "booked",
        repeated=repeated,
        redemption_id=taken.redemption_id,
    )


def _signature(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise no.LineForged("The signature is not base64.") from error


@api.post(
    "/v1/redemptions/{redemption_id}/return",
    scope="wallet:shop",
    tags=("redemptions",),
    problems=(
        no.RedemptionUnknown,
        no.RedemptionReturned,
        no.RedemptionWasShort,
        no.ReturnTooLarge,
        no.AmountInvalid,
        ScopeMissing,
    ),
)
async def make_return(call: Call[Deps], redemption_id: UUID, body: NewReturn) -> RedemptionView:
    """
    Take back what was bought, once: principal returns first, then bonus.

    Needs the scope `wallet:return` besides.  Every refusal is kept.
    """
    async with noting(
        call.deps,
        merchant_id=call.tenant_id,
        action="return",
        clerk=call.caller.key_id,
        redemption_id=redemption_id,
        amount_fen=body.amount_fen,
    ):
        call.caller.require("wallet:return")
        returned = await return_redemption(
            call.deps,
            merchant_id=call.tenant_id,
            redemption_id=redemption_id,
            return_id=call.new_id("return"),
            amount_fen=body.amount_fen,
            reason=body.reason,
        )
    return RedemptionView.model_validate(returned)


@api.get("/v1/redemptions", scope="wallet:read", tags=("redemptions",))
async def list_redemptions(call: Call[Deps], query: RedemptionFilter) -> Page[RedemptionView]:
    """List redemptions, newest first; `state=short` shows what the merchant must bear."""
    async with call.deps.db.connection() as conn:
        rows = await redemptions.page(
            conn,
            call.tenant_id,
            customer_id=query.customer_id,
            state=query.state,
            limit=query.limit + 1,
            before=query.after(datetime, UUID),
        )
    return Page[RedemptionView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.booked_at, row.redemption_id),
        view=RedemptionView.model_validate,
    )


@api.get(
    "/v1/redemptions/{redemption_id}",
    scope="wallet:read",
    tags=("redemptions",),
    problems=(no.RedemptionUnknown,),
)
async def get_redemption(call: Call[Deps], redemption_id: UUID) -> RedemptionStoryView:
    """Show one redemption, and from which agreements it took what."""
    async with call.deps.db.connection() as conn:
        found = await redemptions.get(conn, call.tenant_id, redemption_id)
        parts = await redemptions.parts_of(conn, call.tenant_id, redemption_id)
    if found is None:
        raise no.RedemptionUnknown("No such redemption.", redemption_id=str(redemption_id))
    return RedemptionStoryView(
        redemption=RedemptionView.model_validate(found),
        parts=[PartView.model_validate(part) for part in parts],
    )


@api.get("/v1/redemption-refusals", scope="wallet:read", tags=("redemptions",))
async def list_refusals(call: Call[Deps], query: PageQuery) -> Page[RefusalView]:
    """List what was refused at the counter, newest first."""
    async with call.deps.db.connection() as conn:
        rows = await refusals.page(
            conn, call.tenant_id, limit=query.limit + 1, before=query.after(datetime, UUID)
        )
    return Page[RefusalView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.refused_at, row.refusal_id),
        view=RefusalView.model_validate,
    )
