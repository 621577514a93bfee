"""A signed agreement starts to be billed: its signed schedule becomes rows, once and for all."""

import secrets
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from services.billing.deps import Deps
from services.billing.domain.agreement import Agreement, AgreementState
from services.billing.domain.charge_calendar import CLOSES, OPENS, first_charge
from services.billing.domain.collectible import LegalType
from services.billing.domain.history import Actor, Move
from services.billing.domain.instalment import Instalment, InstalmentState
from services.billing.domain.lines import bonus_fen, lines_of
from services.billing.domain.mandate import Mandate
from services.billing.domain.postponement import first_notice_at
from services.billing.store import agreements, history, instalments, lines, mandates
from services.billing.usecases.gather_facts import permission_of
from services.signing.contract import AgreementSigned, SignedInstalment
from shared.calendar import at_in_china, day_in_china
from shared.db import Connection
from shared.ids import derived_id

log = structlog.get_logger()


async def open_billing(conn: Connection, signed: AgreementSigned, deps: Deps) -> None:
    """
    Write the agreement and one instalment per period, verbatim; repeats safely.

    Raises:
        LinesDiffer: The lines of an instalment do not make its amount.
    """
    now = deps.clock.now()
    agreement = _agreement(signed)
    if not await agreements.add(conn, agreement):
        return
    granted = await mandates.newest(conn, [signed.agreement_id])
    mandate = granted.get(signed.agreement_id)
    rows = [
        _instalment(signed, line, agreement, mandate, deps, now=now) for line in signed.instalments
    ]
    await instalments.add(conn, rows)
    made_of = {
        row.instalment_id: lines_of(line)
        for row, line in zip(rows, signed.instalments, strict=True)
    }
    await lines.write(conn, made_of, rows)
    await history.add(
        conn,
        [
            Move(
                "agreement",
                signed.agreement_id,
                None,
                "",
                agreement.state,
                Actor.SIGNING,
                "signed",
                now,
            )
        ],
    )
    log.info("billing.opened", agreement_id=str(signed.agreement_id), periods=signed.periods)


def _agreement(signed: AgreementSigned) -> Agreement:
    first = next(line for line in signed.instalments if line.seq > 0)
    late = signed.overdue_penalty
    return Agreement(
        agreement_id=signed.agreement_id,
        agreement_no=signed.agreement_no,
        merchant_id=signed.merchant_id,
        customer_id=signed.customer_id,
        pet_id=signed.pet_id,
        plan_name=signed.plan_name,
        rail=signed.rail.value,
        charge_day=signed.charge_day,
        periods=signed.periods,
        total_fen=signed.total_fen,
        hold_fen=signed.hold_fen,
        auto_ship=signed.auto_ship,
        state=AgreementState.COOLING_OFF,
        signed_at=signed.signed_at,
        plan_on=first.due_on,
        penalty_ppm_per_day=late.rate_ppm_per_day if late else 0,
        penalty_grace_days=late.grace_days if late else 0,
        penalty_cap_per_mille=late.cap_per_mille if late else 0,
        legal_type=LegalType(signed.legal_type),
    )


def _instalment(
    signed: AgreementSigned,
    line: SignedInstalment,
    agreement: Agreement,
    mandate: Mandate | None,
    deps: Deps,
    *,
    now: datetime,
) -> Instalment:
    instalment_id = derived_id("instalment", signed.agreement_id, line.seq)
    charge_at = first_charge(instalment_id, line.due_on, signed_at=signed.signed_at)
    instalment = Instalment(
        instalment_id=instalment_id,
        agreement_id=signed.agreement_id,
        merchant_id=signed.merchant_id,
        customer_id=signed.customer_id,
        seq=line.seq,
        periods=signed.periods,
        amount_fen=line.amount_fen,
        due_on=line.due_on,
        charge_on=day_in_china(charge_at),
        charge_at=charge_at,
        state=InstalmentState.SCHEDULED,
        pay_token=secrets.token_urlsafe(24),
        next_try_at=charge_at,
        next_notice_at=first_notice_at(
            charge_at, now=now, permission=permission_of(agreement, mandate, deps)
        ),
        bonus_fen=bonus_fen(lines_of(line)),
    )
    if instalment.is_down_payment:
        return _by_hand(instalment)
    return replace(instalment, next_notice_at=None) if instalment.is_free else instalment


def _by_hand(instalment: Instalment) -> Instalment:
    """Return a down payment: nobody is told of a charge, and from the next day on it is late."""
    return replace(
        instalment,
        charge_on=instalment.due_on,
        charge_at=at_in_china(instalment.due_on, CLOSES.hour),
        next_try_at=at_in_china(instalment.due_on + timedelta(days=1), OPENS.hour),
        next_notice_at=None,
    )
