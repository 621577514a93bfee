"""What every provider of messages can do for us."""

from datetime import datetime
from typing import Protocol

from services.notify.contract.states import Channel
from services.notify.domain.provider import Answer, Finding, Letter, Tracking


class Sender(Protocol):
    """One provider on one channel; never raises for what the provider says or fails to say."""

    @property
    def name(self) -> str:
        """The provider's name, as messages and templates' codes carry it."""
        ...

    @property
    def channel(self) -> Channel:
        """The channel it serves; of several for one, the next takes over from one in trouble."""
        ...

    @property
    def tracking(self) -> Tracking:
        """How one learns what became of a message."""
        ...

    async def send(self, letter: Letter) -> Answer:
        """Send *letter* once; repeating it may send it twice."""
        ...

    async def look_up(self, letter: Letter, *, submitted_at: datetime) -> Finding:
        """Find out what became of *letter*, sent at *submitted_at* or not at all."""
        ...
