"""A clerk redeems a customer's code: at once, or accepted offline and brought in later."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import structlog

from services.wallet.contract import RedemptionBooked, RedemptionFellShort
from services.wallet.contract.states import Category, RedemptionState, TransferKind
from services.wallet.deps import Deps
from services.wallet.domain import accounts as chart
from services.wallet.domain import redemption_code
from services.wallet.domain.errors import WalletUnknown
from services.wallet.domain.ledger import Ledger
from services.wallet.domain.redemption_code import Code, line_to_sign
from services.wallet.domain.redemption_errors import (
    AmountInvalid,
    BalanceTooLow,
    CodeUsed,
    DeviceRevoked,
    DeviceUnknown,
    ServiceUnknown,
)
from services.wallet.domain.spending import Part, Redemption, draw, fee_of, lots_of, spent
from services.wallet.domain.transfer import Transfer
from services.wallet.store import accounts, ledgers, redemptions, shop, spending
from services.wallet.usecases.write_transfers import write_transfers
from shared import outbox
from shared.db import Connection
from shared.ids import derived_id, new_id

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """What is bought: an amount, or a service at its price; where, and who says so."""

    code: str
    category: Category | None
    amount_fen: int | None
    service_code: str | None
    clerk: str
    store_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineLine:
    """A code that a device accepted while it was offline, signed by the device."""

    code: str
    amount_fen: int
    category: Category
    service_code: str | None
    accepted_at: datetime
    signature: bytes


async def redeem(deps: Deps, *, merchant_id: UUID, redemption_id: UUID, sale: Sale) -> Redemption:
    """
    Redeem a code now, bonus first, then principal; the same *redemption_id* repeats safely.

    Raises:
        CodeUnreadable, CodeForged, CodeForeign, CodeExpired: The code is not valid here.
        CodeUsed: It was consumed before.
        AmountInvalid, AmountAboveCode, AmountAboveCeiling: The amount is not allowed.
        ServiceUnknown: The shop does not offer this.
        BalanceTooLow: The wallet holds too little.
        WalletUnknown: The customer has no wallet here.
    """
    now, terms = deps.clock.now(), deps.redemption
    code = redemption_code.read(sale.code, terms.public_key)
    redemption_code.require_valid(code, merchant_id, at=now)
    async with deps.db.transaction() as conn:
        amount_fen, category = await _priced(conn, merchant_id, sale)
        redemption_code.require_amount(
            amount_fen, code, ceiling_fen=terms.ceiling_fen, offline=False
        )
        wanted = Redemption(
            merchant_id=merchant_id,
            redemption_id=redemption_id,
            code_id=code.code_id,
            customer_id=code.customer_id,
            amount_fen=amount_fen,
            fee_fen=fee_of(amount_fen, per_mille=terms.fee_per_mille),
            category=category,
            service_code=sale.service_code,
            store_id=sale.store_id,
            clerk=sale.clerk,
            accepted_at=now,
            booked_at=now,
        )
        return (await _consume(conn, code, wanted))[0]


async def take_offline_line(
    deps: Deps, *, merchant_id: UUID, device_id: UUID, line: OfflineLine
) -> tuple[Redemption, bool]:
    """
    Book what a device accepted offline; return it, and whether it stood already.

    A line that comes again changes nothing.  If the wallet holds too little, nothing is
    taken and the redemption is ``short``: an exception that the merchant sees and bears.

    Raises:
        DeviceUnknown, DeviceRevoked, LineForged: The line cannot be trusted.
        CodeUnreadable, CodeForged, CodeForeign, CodeExpired: The code was not valid then.
        UploadTooLate: It was accepted too long ago.
        CodeUsed: Its code was consumed by another redemption.
        AmountInvalid, AmountAboveCode, AmountAboveCeiling, AmountAboveOfflineLimit:
            The amount was not allowed.
        WalletUnknown: The customer has no wallet here.
    """
    now, terms = deps.clock.now(), deps.redemption
    async with deps.db.transaction() as conn:
        await _require_device(conn, merchant_id, device_id, line)
        code = redemption_code.read(line.code, terms.public_key)
        redemption_code.require_valid(code, merchant_id, at=line.accepted_at)
        redemption_code.require_in_time(line.accepted_at, now=now, offline_for=terms.offline_for)
        redemption_code.require_amount(
            line.amount_fen, code, ceiling_fen=terms.ceiling_fen, offline=True
        )
        moment = int(line.accepted_at.timestamp())
        wanted = Redemption(
            merchant_id=merchant_id,
            redemption_id=derived_id(
                "offline redemption", code.code_id, device_id, line.amount_fen, moment
            ),
            code_id=code.code_id,
            customer_id=code.customer_id,
            amount_fen=line.amount_fen,
            fee_fen=fee_of(line.amount_fen, per_mille=terms.fee_per_mille),
            category=line.category,
            service_code=line.service_code,
            device_id=device_id,
            clerk=str(device_id),
            accepted_at=line.accepted_at,
            booked_at=now,
        )
        return await _consume(conn, code, wanted)


async def _priced(conn: Connection, merchant_id: UUID, sale: Sale) -> tuple[int, Category]:
    if sale.service_code is None:
        if sale.amount_fen is None or sale.category is None:
            raise AmountInvalid("Name an amount with its category, or a service.")
        return sale.amount_fen, sale.category
    if sale.amount_fen is not None:
        raise AmountInvalid("Name an amount or a service, not both.")
    offered = await shop.service(conn, merchant_id, sale.service_code)
    if offered is None or not offered.active:
        raise ServiceUnknown("Not offered here.", service_code=sale.service_code)
    return offered.price_fen, offered.category


async def _require_device(
    conn: Connection, merchant_id: UUID, device_id: UUID, line: OfflineLine
) -> None:
    device = await shop.find_device(conn, merchant_id, device_id)
    if device is None:
        raise DeviceUnknown("No such device.", device_id=str(device_id))
    if device.revoked_at is not None and device.revoked_at <= line.accepted_at:
        raise DeviceRevoked("This device was revoked.", device_id=str(device_id))
    signed = line_to_sign(
        device_id,
        code=line.code,
        amount_fen=line.amount_fen,
        category=line.category,
        service_code=line.service_code,
        accepted_at=line.accepted_at,
    )
    redemption_code.require_signed(signed, line.signature, device.public_key)


async def _consume(conn: Connection, code: Code, wanted: Redemption) -> tuple[Redemption, bool]:
    """Consume *code* once, under the locks of its customer's ledgers."""
    books = await ledgers.lock_of_customer(conn, code.merchant_id, code.customer_id)
    if not books:
        raise WalletUnknown("No wallet here.", code_id=str(code.code_id))
    stood = await redemptions.of_code(conn, code.merchant_id, code.code_id)
    if stood is not None:
        if stood.redemption_id != wanted.redemption_id:
            raise CodeUsed(
                "This code was used before.",
                code_id=str(code.code_id),
                redemption_id=str(stood.redemption_id),
            )
        return stood, True
    usable = [ledger for ledger in books.values() if ledger.ended_as is None]
    credits_ = await spending.credits_of(conn, code.merchant_id, code.customer_id)
    lots = lots_of(usable, credits_)
    parts = draw(
        lots,
        wanted.amount_fen,
        redemption_id=wanted.redemption_id,
        fee_fen=wanted.fee_fen,
    )
    if parts is None:
        missing_fen = wanted.amount_fen - sum(lot.left_fen for lot in lots)
        return await _fall_short(conn, wanted, missing_fen), False
    return await _book(conn, books, wanted, parts), False


async def _fall_short(conn: Connection, wanted: Redemption, missing_fen: int) -> Redemption:
    if wanted.device_id is None:
        raise BalanceTooLow(
            "The wallet holds too little.",
            code_id=str(wanted.code_id),
            amount_fen=wanted.amount_fen,
            missing_fen=missing_fen,
        )
    short = replace(wanted, state=RedemptionState.SHORT, fee_fen=0, missing_fen=missing_fen)
    await redemptions.add(conn, short, [])
    await outbox.add(
        conn,
        RedemptionFellShort(
            event_id=new_id(),
            occurred_at=short.booked_at,
            redemption_id=short.redemption_id,
            merchant_id=short.merchant_id,
            customer_id=short.customer_id,
            amount_fen=short.amount_fen,
            category=short.category,
            offline=True,
            missing_fen=missing_fen,
        ),
    )
    log.warning("redemption.fell_short", missing_fen=missing_fen)
    return short


async def _book(
    conn: Connection, books: dict[UUID, Ledger], wanted: Redemption, parts: Sequence[Part]
) -> Redemption:
    booked = replace(wanted, bonus_fen=sum(part.bonus_fen for part in parts))
    await redemptions.add(conn, booked, parts)
    await ledgers.save(conn, spent(books, parts))
    written = await write_transfers(
        conn, (move for part in parts for move in _spendings(booked, part))
    )
    await outbox.add(
        conn,
        RedemptionBooked(
            event_id=new_id(),
            occurred_at=booked.booked_at,
            redemption_id=booked.redemption_id,
            merchant_id=booked.merchant_id,
            customer_id=booked.customer_id,
            amount_fen=booked.amount_fen,
            category=booked.category,
            offline=booked.device_id is not None,
            bonus_fen=booked.bonus_fen,
        ),
    )
    await accounts.move(conn, written)
    log.info(
        "redemption.booked",
        redemption_id=str(booked.redemption_id),
        amount_fen=booked.amount_fen,
        bonus_fen=booked.bonus_fen,
    )
    return booked


def _spendings(booked: Redemption, part: Part) -> Iterator[Transfer]:
    principal = chart.wallet(booked.customer_id, chart.Purse.PRINCIPAL)
    bonus = chart.wallet(booked.customer_id, chart.Purse.BONUS)
    for kind, debit, to, amount_fen in (
        (TransferKind.SPENT, principal, chart.MERCHANT_PAYABLE, part.principal_fen),
        (TransferKind.SPENT_BONUS, bonus, chart.MERCHANT_PAYABLE, part.bonus_fen),
        (TransferKind.SPENT_FEE, chart.MERCHANT_PAYABLE, chart.PLATFORM_FEE, part.fee_fen),
    ):
        yield Transfer(
            merchant_id=booked.merchant_id,
            cause_id=part.part_id,
            kind=kind,
            debit_account=debit,
            credit_account=to,
            amount_fen=amount_fen,
            customer_id=booked.customer_id,
            agreement_id=part.agreement_id,
            occurred_at=booked.booked_at,
        )
