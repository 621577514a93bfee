"""What notify takes and answers over HTTP."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from services.notify.contract.states import Channel, Kind, MessageState
from shared.web import Body, PageQuery, View


class MessageFilter(PageQuery):
    """Which messages to list."""

    customer_id: UUID | None = None
    agreement_id: UUID | None = None
    cause_id: UUID | None = None
    state: MessageState | None = None


class MessageView(View):
    """One message to one customer on one channel; the recipient is masked."""

    message_id: UUID
    cause: str
    cause_id: UUID
    customer_id: UUID
    agreement_id: UUID | None
    instalment_id: UUID | None
    channel: Channel
    kind: Kind
    mandatory: bool
    state: MessageState
    template_key: str
    template_version: int | None
    recipient_masked: str | None
    text: str | None = Field(description="What was sent; null before the first try.")
    queued_at: datetime
    due_at: datetime | None
    send_by: datetime
    tries: int
    provider: str | None
    provider_message_id: str | None
    submitted_at: datetime | None
    accepted_at: datetime | None
    delivered_at: datetime | None
    failure: str | None


class MoveView(View):
    """One move of a message."""

    at: datetime
    state: MessageState
    provider: str | None
    reason: str | None


class MessageDetailView(View):
    """A message with all its moves, in order: the evidence of what was sent."""

    message: MessageView
    history: list[MoveView]


class ParamView(View):
    """A parameter of a template: what kind, how long, and from which fact it is made."""

    name: str
    kind: str
    limit: int
    fact: str


class FieldView(View):
    """One line of a mini-program message."""

    label: str
    key: str
    value: str


class TemplateView(View):
    """The version of a wording that is in use on one channel."""

    key: str
    channel: Channel
    version: int
    title: str
    text: str
    page: str
    fields: list[FieldView]
    params: list[ParamView]
    codes: dict[str, str]


class TemplateList(View):
    """Every template in use."""

    items: list[TemplateView]


class PreviewBody(Body):
    """Facts to fill a template with, as JSON: amounts in fen, dates and instants in ISO 8601."""

    channel: Channel = Channel.SMS
    facts: dict[str, Any] = Field(max_length=40)


class PreviewView(View):
    """A template filled in."""

    key: str
    channel: Channel
    version: int
    text: str
    characters: int
    sms_parts: int | None = Field(description="How many SMS it takes; null for other channels.")


class ChannelChoice(Body):
    """What a customer wants on one channel; what is left out stays as it is."""

    marketing: bool | None = None
    service: bool | None = None


class PreferencesBody(Body):
    """What a customer wants to hear; mandatory messages come all the same."""

    sms: ChannelChoice = ChannelChoice()
    mini_program: ChannelChoice = ChannelChoice()


class ChannelChoiceView(View):
    """What stands for one channel."""

    marketing: bool
    service: bool


class PreferencesView(View):
    """What stands for one customer."""

    customer_id: UUID
    sms: ChannelChoiceView
    mini_program: ChannelChoiceView
