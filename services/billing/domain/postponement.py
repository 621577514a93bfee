"""A new charge date: notices of its own, and later periods kept within the rail's plan."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from services.billing.domain.agreement import Agreement
from services.billing.domain.charge_calendar import charge_moment, plan_day, postponed_day
from services.billing.domain.instalment import CHARGEABLE, Instalment, InstalmentMove, moved
from services.billing.domain.notices import outside_quiet_hours, plan
from shared.calendar import day_in_china, month_day
from shared.rails.permissions import Permission


def first_notice_at(
    charge_at: datetime, *, now: datetime, permission: Permission | None
) -> datetime:
    """Return when the first notice before *charge_at* is to be asked for, never in quiet hours."""
    planned = plan(charge_at, rail_notice_days=rail_notice_days(permission))[0].send_at
    return planned if planned > now else outside_quiet_hours(now)


def rail_notice_days(permission: Permission | None) -> int | None:
    """Return how many days before the charge the rail itself must have told the customer."""
    window = None if permission is None else permission.notice_window
    return None if window is None else window.first_day


def postpone(
    instalment: Instalment,
    others: Sequence[Instalment],
    agreement: Agreement,
    *,
    now: datetime,
    permission: Permission | None,
    agreed_on: date | None = None,
) -> list[Instalment]:
    """
    Return *instalment* on its new day, and those of *others* that have to follow it.

    No two periods of an agreement share a charge day.  Where the rail keeps a plan, each
    success moves that plan by a month from where it stood, so later periods must not be
    charged before their window opens.  A day that the customer *agreed_on* is taken as it is.
    """
    today = day_in_china(now)
    window = None if permission is None else permission.due_window
    unpaid = [other for other in others if other.state in CHARGEABLE]
    taken = {other.charge_on for other in unpaid}
    day = agreed_on or postponed_day(today, taken=taken, permission=permission)
    if window is not None and agreement.plan_on is not None:
        day = max(day, agreement.plan_on + timedelta(days=window.first_day))
    changed = [_to_day(instalment, day, now=now, permission=permission)]
    if window is None or permission is None:
        return changed
    plan_on = max(plan_day(day, max(permission.charge_days)), agreement.plan_on or day)
    for other in unpaid:
        periods = other.seq - instalment.seq
        if periods <= 0 or other.is_free:
            continue
        opens = month_day(plan_on, periods, day=plan_on.day) + timedelta(days=window.first_day)
        if other.charge_on < opens:
            changed.append(_to_day(other, opens, now=now, permission=permission))
    return changed


def _to_day(
    instalment: Instalment, day: date, *, now: datetime, permission: Permission | None
) -> Instalment:
    charge_at = charge_moment(instalment.instalment_id, day)
    return replace(
        instalment,
        state=moved(instalment.state, InstalmentMove.POSTPONE),
        charge_on=day,
        charge_at=charge_at,
        auto_tries=0,
        first_tried_at=None,
        next_try_at=charge_at,
        next_notice_at=first_notice_at(charge_at, now=now, permission=permission),
    )
