"""
Each service that talks to the outside dies around every commit, and nothing is lost or doubled.

A commit is known by where it stands in the code and, for events, by its consumer.  In one
life a service dies at each such place, just before the commit or just after it, each time
that place is reached for the first (or the second) time; it is started again on what it left.
"""

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import pytest

from deploy.secrets import Secrets
from shared import webhooks
from shared.ids import derived_id
from tests.support import canonical, looking
from tests.support.dates import at
from tests.support.gateway import Agreement, Shop
from tests.support.servers import TestDatabases
from tests.support.world import World, world_of
from tests.support.world_parts import Crash

SERVICES = ("signing", "billing", "fulfillment", "notify")
Books = dict[str, Counter[str]]


@dataclass
class Mortality:
    """One service's fate: where it dies, and at which visit of each place; 0 is never."""

    where: str = "after"
    visit: int = 0
    visits: Counter[str] = field(default_factory=Counter)
    deaths: list[str] = field(default_factory=list)
    armed: bool = False

    def committing(self, where: str) -> None:
        if not self.armed or where != self.where:
            return
        place = place_of(sys._getframe(1))
        self.visits[place] += 1
        if self.visits[place] == self.visit:
            self.deaths.append(place)
            raise Crash(place)


def place_of(frame: FrameType | None) -> str:
    """Return where the commit stands: the first frame of a service, or of what serves it."""
    while frame is not None:
        module = frame.f_globals["__name__"]
        if module == "shared.bus":
            return f"consumer {frame.f_locals['consumer']}"
        if module.startswith("services.") or module == "shared.jobs":
            return f"{module}:{frame.f_lineno}"
        frame = frame.f_back
    return "elsewhere"


async def life(
    databases: TestDatabases, parties: Path, secrets: Secrets, fates: Mapping[str, Mortality]
) -> Books:
    """
    Live two months: two customers sign, are charged, get parcels; one of them ends early.

    One charge is declined, one answer is hidden and one parcel is out of stock meanwhile.
    """
    now = at("2027-01-04 10:00")
    async with world_of(databases, parties, secrets, now=now) as world:
        shop = Shop(world, merchant_id=derived_id("merchant", "crashes"))
        await shop.open(plan={"periods": 2})
        for name, fate in fates.items():
            world.members[name].db.around = fate.committing
            fate.armed = True
        world.on_start = lambda name, db: setattr(db, "around", around(fates, name))
        first = await shop.sign(rail="alipay", charge_day=15)
        second = await shop.sign(rail="wechatpay", charge_day=20)
        world.fault("wechatpay", second.payer, {"on": "apply", "do": "hide_answer"})
        await fill_account(world, first, 0)
        await world.until((await looking.instalments(world, first))[0]["charge_at"])
        await world.pass_time(hours=1)
        await fill_account(world, first, None)
        await world.until(at("2027-01-16"))
        await world.act("jst", "PUT", "/_sandbox/stock/FOOD-ADULT", {"qty": 0})
        await world.until(at("2027-01-25"))
        await world.act("jst", "PUT", "/_sandbox/stock/FOOD-ADULT", {"qty": 100})
        await world.until(at("2027-02-16"))
        await shop.terminate(second)
        await world.until(at("2027-03-05"))
        for fate in fates.values():
            fate.armed = False
        await clear_orphans(world)
        await world.assert_books_agree()
        return {**await canonical.tables(world), **canonical.outside(world)}


async def fill_account(world: World, agreement: Agreement, fen: int | None) -> None:
    """Let the customer have so much at the rail; None is plenty."""
    path = f"/_sandbox/users/{agreement.payer}"
    await world.act(agreement.rail, "PUT", path, {"balance_fen": fen})


def around(fates: Mapping[str, Mortality], name: str) -> Callable[[str], None] | None:
    return fates[name].committing if name in fates else None


async def clear_orphans(world: World) -> None:
    """
    Do what a person does about flows that were begun twice at the e-contract provider.

    Nobody can sign the one whose number was lost; its end is told to us and has no place.
    """
    async with world.members["signing"].db.transaction() as conn:
        for call in await webhooks.unplaced(conn, limit=100):
            if call.reason == "no flow of ours":
                await webhooks.mark_placed(conn, call.webhook_id, now=world.now)


def bearable(difference: str) -> bool:
    """
    Tell whether notify may differ so: mini-program providers cannot be asked what they took.

    What a customer is owed goes out once more then, and any other message not at all.
    """
    return difference.startswith(("+ wechat:", "+ alipay.messages:"))


@dataclass(frozen=True)
class Undisturbed:
    """The life that nobody disturbs, and where each service commits in it."""

    books: Books
    places: Mapping[str, set[str]]


@pytest.fixture(scope="module")
async def undisturbed(
    databases: TestDatabases, parties: Path, platform_secrets: Secrets
) -> Undisturbed:
    fates = {name: Mortality() for name in SERVICES}
    books = await life(databases, parties, platform_secrets, fates)
    return Undisturbed(books, {name: set(fate.visits) for name, fate in fates.items()})


@pytest.mark.parametrize(("where", "visit"), [("before", 1), ("after", 1), ("after", 2)])
@pytest.mark.parametrize("service", SERVICES)
async def test_dying_around_every_commit_changes_nothing(
    databases: TestDatabases,
    parties: Path,
    platform_secrets: Secrets,
    undisturbed: Undisturbed,
    service: str,
    where: str,
    visit: int,
):
    fate = Mortality(where, visit)

    books = await life(databases, parties, platform_secrets, {service: fate})

    differing = canonical.differences(books, undisturbed.books)
    assert [one for one in differing if service != "notify" or not bearable(one)] == []
    assert len(fate.deaths) > 0
    if visit == 1:
        assert undisturbed.places[service] <= set(fate.deaths)
