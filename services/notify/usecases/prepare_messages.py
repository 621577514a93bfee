"""Due messages meet what is known right now: sent, held back, or dropped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never
from uuid import UUID

from services.notify.contract.states import Channel, Kind, MessageState, Scope
from services.notify.deps import Deps
from services.notify.domain.contact import Agreement, Contact, Merchant, ways
from services.notify.domain.dispatch import Circumstances, Drop, Go, Hold, Late, decide
from services.notify.domain.errors import ParamsInvalid
from services.notify.domain.message import (
    TOO_LATE,
    Envelope,
    Message,
    fail,
    submit,
    suppress,
    take,
    wait,
)
from services.notify.domain.provider import Letter, out_id_of
from services.notify.domain.template import GENERIC_PLAN, Rendered, Template, render
from services.notify.store import contacts, messages, opt_outs
from services.notify.store.contacts import Key
from services.notify.usecases.describe import RAIL_NAMES
from shared.db import Connection
from shared.sealing import mask_mobile

KEPT_OF_ID: Final = 4
"""Characters shown at each end of an openid or a user id."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A message in our hands and, if its provider is to be called, the letter."""

    before: Message
    after: Message
    letter: Letter | None = None

    @property
    def ask_first(self) -> bool:
        """Return whether the provider may have it already."""
        return self.before.state is MessageState.SUBMITTED


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database says about a batch, read at once."""

    contacts: Mapping[Key, Contact]
    merchants: Mapping[UUID, Merchant]
    agreements: Mapping[Key, Agreement]
    refused: set[tuple[opt_outs.Key, Scope]]
    counts: dict[Key, tuple[int, int, int]]
    """SMS to a customer: today, of those about unpaid periods, and these in a week."""
    paid: set[Key]

    def count(self, one: Prepared) -> None:
        """Count an SMS that goes out now, so that one batch cannot pass a cap."""
        message = one.after
        fresh = one.before.state is MessageState.QUEUED and one.letter is not None
        if message.channel is not Channel.SMS or not fresh:
            return
        customer = message.merchant_id, message.customer_id
        today, dunning_today, dunning_week = self.counts.get(customer, (0, 0, 0))
        dunning = message.kind is Kind.DUNNING
        self.counts[customer] = today + 1, dunning_today + dunning, dunning_week + dunning

    def agreement(self, message: Message) -> Agreement | None:
        if message.agreement_id is None:
            return None
        return self.agreements.get((message.merchant_id, message.agreement_id))

    def circumstances(self, message: Message) -> Circumstances:
        customer = message.merchant_id, message.customer_id
        agreement = self.agreement(message)
        sms_today, dunning_today, dunning_week = self.counts.get(customer, (0, 0, 0))
        return Circumstances(
            contact=self.contacts.get(customer),
            merchant=self.merchants.get(message.merchant_id),
            ended=agreement is not None and agreement.ended,
            paid=message.instalment_id is not None
            and (message.merchant_id, message.instalment_id) in self.paid,
            refused=((*customer, message.channel), Scope.SERVICE) in self.refused,
            sms_today=sms_today,
            dunning_today=dunning_today,
            dunning_this_week=dunning_week,
        )


async def prepare(
    conn: Connection, due: Sequence[Message], deps: Deps, *, now: datetime
) -> list[Prepared]:
    """Return what to do with each of the locked *due* messages; saves nothing."""
    known = await _read(conn, due, deps, now=now)
    prepared = []
    for message in due:
        one = _prepare(message, known, deps, now)
        known.count(one)
        prepared.append(one)
    return prepared


def letter_for(message: Message, contact: Contact, deps: Deps) -> Letter | None:
    """Return *message* as its provider knows it, to ask about it; None if that is not possible."""
    template = deps.templates.get((message.template_key, message.channel))
    recipient = contact.recipient(message.provider or "")
    if template is None or not recipient or deps.keys.index(recipient) != message.recipient_index:
        return None
    return Letter(
        out_id=out_id_of(message.merchant_id, message.message_id),
        recipient=recipient,
        template_code=template.codes.get(message.provider or "", ""),
        values={},
        fields=(),
        page="",
    )


async def _read(conn: Connection, due: Sequence[Message], deps: Deps, *, now: datetime) -> _Known:
    customers = [(m.merchant_id, m.customer_id) for m in due]
    capped = [
        (m.merchant_id, m.customer_id) for m in due if m.channel is Channel.SMS and not m.mandatory
    ]
    optional = [(m.merchant_id, m.customer_id, m.channel) for m in due if not m.mandatory]
    payable = [(m.merchant_id, m.instalment_id) for m in due if m.instalment_id is not None]
    signed = [(m.merchant_id, m.agreement_id) for m in due if m.agreement_id is not None]
    return _Known(
        contacts=await contacts.contacts(conn, customers, deps.keys.cipher),
        merchants=await contacts.merchants(conn, [m.merchant_id for m in due]),
        agreements=await contacts.agreements(conn, signed),
        refused=await opt_outs.refused(conn, optional) if optional else set(),
        counts=await messages.sms_counts(conn, capped, now=now) if capped else {},
        paid=await messages.paid(conn, payable),
    )


def _prepare(message: Message, known: _Known, deps: Deps, now: datetime) -> Prepared:
    facts = known.circumstances(message)
    if message.state is MessageState.SUBMITTED:
        letter = letter_for(message, facts.contact, deps) if facts.contact else None
        return Prepared(message, take(message, now=now), letter)
    choice = decide(message, facts, now=now)
    match choice:
        case Go(contact, merchant):
            return _address(message, contact, merchant, known.agreement(message), deps, now)
        case Hold(until, reason):
            return Prepared(message, wait(message, until=until, reason=reason, now=now))
        case Drop(reason):
            return Prepared(message, suppress(message, reason))
        case Late():
            return Prepared(message, fail(message, f"{TOO_LATE}:{message.failure or 'unsent'}"))
        case _:
            assert_never(choice)


def _address(
    message: Message,
    contact: Contact,
    merchant: Merchant,
    agreement: Agreement | None,
    deps: Deps,
    now: datetime,
) -> Prepared:
    rail = message.rail or (agreement.rail if agreement else None)
    possible = ways(message.channel, contact, rail, sms_providers=deps.sms_providers)
    template = deps.templates.get((message.template_key, message.channel))
    if not possible or template is None:
        reason = "no_recipient" if template else "no_template"
        return Prepared(message, fail(message, reason))
    provider = _choose(possible, message)
    try:
        rendered = render(template, _facts(message, merchant, agreement, rail))
    except ParamsInvalid as error:
        return Prepared(message, fail(message, f"config:{error}"[:200]))
    recipient = contact.recipient(provider)
    envelope = Envelope(
        provider=provider,
        template_version=template.version,
        text=rendered.text,
        recipient_index=deps.keys.index(recipient),
        recipient_masked=_masked(message.channel, recipient),
    )
    letter = _letter(message, recipient, template, provider, rendered)
    return Prepared(message, submit(message, envelope, now=now), letter)


def _choose(possible: tuple[str, ...], message: Message) -> str:
    """Return the best provider, or after a failed try the one after the last."""
    if message.tries == 0 or message.provider not in possible:
        return possible[0]
    return possible[(possible.index(message.provider) + 1) % len(possible)]


def _facts(
    message: Message, merchant: Merchant, agreement: Agreement | None, rail: str | None
) -> dict[str, object]:
    plan = agreement.plan_name if agreement and agreement.plan_name else GENERIC_PLAN
    return {
        "merchant": merchant.display_name,
        "service_phone": merchant.service_phone,
        "plan": plan,
        "rail": RAIL_NAMES.get(rail or "", "原支付渠道"),
        **message.facts,
    }


def _letter(
    message: Message, recipient: str, template: Template, provider: str, rendered: Rendered
) -> Letter:
    return Letter(
        out_id=out_id_of(message.merchant_id, message.message_id),
        recipient=recipient,
        template_code=template.codes.get(provider, ""),
        values=rendered.values,
        fields=rendered.fields,
        page=rendered.page,
    )


def _masked(channel: Channel, recipient: str) -> str:
    if channel is Channel.SMS:
        return mask_mobile(recipient)
    if len(recipient) <= 2 * KEPT_OF_ID:
        return "****"
    return f"{recipient[:KEPT_OF_ID]}…{recipient[-KEPT_OF_ID:]}"
