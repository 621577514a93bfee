"""What every event has: an id, a time, a subject, and one thing it is about."""

from typing import ClassVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict


class Event(BaseModel):
    """
    One thing that happened, told to whoever listens.

    The class attribute ``subject`` is where it is published and which version it
    is: ``<service>.<noun>.<past verb>.v<N>``.  ``about`` names the field that
    holds the aggregate it is about; events about one aggregate keep their order.
    A version may gain optional fields, so readers ignore what they do not know.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    subject: ClassVar[str]
    about: ClassVar[str]

    event_id: UUID
    occurred_at: AwareDatetime

    @classmethod
    def publisher(cls) -> str:
        """Return the service that publishes this, which is also its stream."""
        return cls.subject.partition(".")[0]

    @property
    def aggregate_id(self) -> str:
        """Return the id of what this is about."""
        return str(getattr(self, self.about))
