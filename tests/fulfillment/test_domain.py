"""Stages, contents, moves and news of parcels: decisions without I/O."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.fulfillment.domain.carriers import carrier_named
from services.fulfillment.domain.contents import (
    Choice,
    Item,
    Sku,
    Substitute,
    Wanted,
    Why,
    bundle_of,
    contents,
    swap_fault,
    unknown_skus,
    without_short,
)
from services.fulfillment.domain.errors import MoveForbidden
from services.fulfillment.domain.growth import (
    NOTICE_DAYS,
    ORDER,
    Stage,
    change_of_stage,
    growth_stage,
    next_stage_on,
)
from services.fulfillment.domain.parcel import Node, Parcel, ParcelState, follow, masked, silent
from services.fulfillment.domain.shipment import (
    MOVES,
    OPEN,
    OrderState,
    Report,
    Shipment,
    ShipmentState,
    give_up,
    hear,
    move,
    next_check,
    planned_for,
    remind,
    ship_on,
    shipment_id_of,
    shipment_no,
    unclear,
    wait_a_day,
)
from shared.ids import derived_id
from tests.support.fulfillment_builders import SKUS, TEN, china

CATALOGUE = {sku.sku: sku for sku in SKUS}
DAYS = st.dates(date(2020, 1, 1), date(2032, 12, 31))
KINDS = st.sampled_from(
    [("cat", ""), ("dog", "small"), ("dog", "medium"), ("dog", "large"), ("dog", "?"), ("fox", "")]
)


@pytest.mark.parametrize(
    ("species", "size", "months", "stage"),
    [
        ("cat", "", 3, Stage.YOUNG),
        ("cat", "", 4, Stage.GROWING),
        ("cat", "", 11, Stage.GROWING),
        ("cat", "", 12, Stage.ADULT),
        ("cat", "large", 84, Stage.SENIOR),
        ("dog", "small", 10, Stage.ADULT),
        ("dog", "medium", 11, Stage.GROWING),
        ("dog", "large", 17, Stage.GROWING),
        ("dog", "large", 72, Stage.SENIOR),
        ("dog", "small", 95, Stage.ADULT),
        ("dog", "unknown", 12, Stage.ADULT),
        ("rabbit", "", 1, Stage.ADULT),
    ],
)
def test_the_stage_follows_from_species_size_and_age(species, size, months, stage):
    born_on = date(2020, 1, 15)
    year, month = divmod(months, 12)

    on = date(2020 + year, 1 + month, 15)

    assert growth_stage(species, size, born_on=born_on, on=on) is stage


def test_a_kitten_of_the_31st_grows_on_the_last_day_of_a_short_month():
    assert growth_stage("cat", "", born_on=date(2025, 10, 31), on=date(2026, 2, 27)) is Stage.YOUNG
    assert next_stage_on("cat", "", born_on=date(2025, 10, 31), after=date(2026, 1, 1)) == date(
        2026, 2, 28
    )


def test_a_kitten_of_the_29th_of_february_is_adult_a_year_later_on_the_28th():
    born_on = date(2024, 2, 29)

    assert growth_stage("cat", "", born_on=born_on, on=date(2025, 2, 27)) is Stage.GROWING
    assert growth_stage("cat", "", born_on=born_on, on=date(2025, 2, 28)) is Stage.ADULT


@given(KINDS, DAYS, DAYS, DAYS)
def test_nobody_grows_younger(kind, born_on, one, other):
    early, late = sorted([one, other])

    before = growth_stage(*kind, born_on=born_on, on=early)
    after = growth_stage(*kind, born_on=born_on, on=late)

    assert ORDER.index(before) <= ORDER.index(after)


@given(KINDS, DAYS, DAYS)
def test_the_next_stage_begins_when_it_says(kind, born_on, day):
    begins = next_stage_on(*kind, born_on=born_on, after=day)

    if begins is None:
        assert growth_stage(*kind, born_on=born_on, on=day) in {Stage.ADULT, Stage.SENIOR}
    else:
        before = growth_stage(*kind, born_on=born_on, on=begins - timedelta(days=1))
        assert growth_stage(*kind, born_on=born_on, on=begins) is not before


@given(KINDS, DAYS, DAYS, st.sampled_from(ORDER))
def test_a_change_is_announced_five_days_ahead(kind, born_on, today, stage):
    change = change_of_stage(*kind, born_on=born_on, stage=stage, today=today)

    if change is not None:
        assert change.to_stage is not stage
        assert change.from_day >= today + timedelta(days=NOTICE_DAYS)
        grown = growth_stage(*kind, born_on=born_on, on=change.from_day)
        assert ORDER.index(grown) >= ORDER.index(change.to_stage)


def choice(*allergies, substitutes=(), signed_at=TEN):
    return Choice(CATALOGUE, substitutes, signed_at, allergies)


ADULT = (Wanted("ADULT", 1), Wanted("LITTER", 2))
FISH = Substitute("ADULT", "ADULT-FISH", TEN)


def test_a_plan_without_the_stage_falls_back_to_the_nearest_earlier_one():
    bundles = {Stage.YOUNG: (Wanted("YOUNG", 1),), Stage.ADULT: ADULT}

    assert bundle_of(bundles, Stage.GROWING)[0].sku == "YOUNG"
    assert bundle_of(bundles, Stage.SENIOR)[0].sku == "ADULT"
    assert bundle_of({Stage.ADULT: ADULT}, Stage.YOUNG) == ADULT
    assert bundle_of({}, Stage.YOUNG) == ()


def test_what_harms_the_pet_is_replaced_by_what_was_agreed_or_left_out():
    replaced = contents(ADULT, {}, choice(" Chicken ", substitutes=[FISH]))
    left_out = contents(ADULT, {}, choice("chicken"))

    assert [(item.sku, item.why, item.instead_of) for item in replaced.items] == [
        ("ADULT-FISH", Why.ALLERGY, "ADULT"),
        ("LITTER", Why.BUNDLE, None),
    ]
    assert [item.sku for item in left_out.items] == ["LITTER"]
    assert left_out.omitted == ("ADULT",)


def test_a_wish_is_packed_and_its_cost_counted():
    packed = contents(ADULT, {"ADULT": "ADULT-FISH"}, choice())

    assert packed.items[0].why is Why.SWAP
    assert packed.supply_cost_fen == 5400 + 2 * 1500


def test_unknown_skus_are_named():
    assert unknown_skus([Wanted("NEW", 1), Wanted("ADULT", 1)], {}, CATALOGUE) == ["NEW"]
    assert unknown_skus([Wanted("ADULT", 1)], {"ADULT": "GONE"}, CATALOGUE) == ["GONE"]


@pytest.mark.parametrize(
    ("sku", "by", "allergies", "why"),
    [
        ("ADULT", "ADULT-FISH", (), None),
        ("ADULT", "YOUNG", (), None),
        ("ADULT", "ADULT-GOLD", (), "dearer"),
        ("ADULT", "ADULT-FISH", ("cod",), "allergy"),
        ("ADULT", "NEW", (), "not-available"),
        ("NEW", "ADULT", (), "not-in-plan"),
    ],
)
def test_a_swap_stays_within_what_was_signed(sku, by, allergies, why):
    bundles = {Stage.YOUNG: (Wanted("YOUNG", 1),), Stage.ADULT: ADULT}

    found = swap_fault(sku, by, bundles=bundles, choice=choice(*allergies, substitutes=[FISH]))

    assert found == why


def test_what_is_neither_in_the_plan_nor_a_substitute_was_not_agreed():
    why = swap_fault("ADULT", "ADULT-FISH", bundles={Stage.ADULT: ADULT}, choice=choice())

    assert why == "not-agreed"


@given(
    st.dictionaries(st.sampled_from(sorted(CATALOGUE)), st.integers(0, 3)),
    st.sets(st.sampled_from(["chicken", "cod", "salmon"])),
    st.lists(
        st.tuples(st.sampled_from(sorted(CATALOGUE)), st.sampled_from(sorted(CATALOGUE))),
        max_size=8,
    ),
)
def test_a_substitute_never_harms_costs_more_or_comes_unasked(stock, allergies, pairs):
    substitutes = [Substitute(sku, by, TEN) for sku, by in pairs]
    given_choice = choice(*allergies, substitutes=substitutes)
    packed = contents(ADULT, {}, given_choice).items

    changed, short = without_short(packed, stock, given_choice)

    assert {sku for sku, _ in short} == {
        item.sku for item in packed if stock.get(item.sku, 0) < item.quantity
    }
    for old, new in zip(packed, changed or (), strict=changed is not None):
        assert stock.get(new.sku, 0) >= new.quantity
        assert new.supply_cost_fen <= old.supply_cost_fen
        assert given_choice.suits(CATALOGUE[new.sku])
        assert new.sku == old.sku or (new.instead_of, new.sku) in pairs


def a_shipment(**changes: Any) -> Shipment:
    fields: dict[str, Any] = {
        name: derived_id(name)
        for name in (
            "merchant_id",
            "shipment_id",
            "instalment_id",
            "agreement_id",
            "customer_id",
            "pet_id",
            "hold_id",
        )
    } | {
        "seq": 1,
        "hold_fen": 16000,
        "state": ShipmentState.PLANNED,
        "ship_on": date(2026, 3, 4),
        "deliver_by": date(2026, 3, 9),
        "planned_at": TEN,
        "since": TEN,
        "due_at": TEN,
    }
    return Shipment(**(fields | changes))


STATES = st.sampled_from(ShipmentState)
REPORTS = st.builds(
    Report,
    st.just(shipment_no(derived_id("shipment_id"))),
    st.sampled_from(["", "17"]),
    st.sampled_from(OrderState),
)


@given(STATES, STATES)
def test_only_listed_moves_are_made(start, to):
    shipment = a_shipment(state=start)
    if to in MOVES[start]:
        assert move(shipment, to, now=TEN, due_at=None).state is to
    else:
        with pytest.raises(MoveForbidden):
            move(shipment, to, now=TEN, due_at=None)


def test_what_is_over_goes_nowhere():
    assert {state for state in ShipmentState if not MOVES[state]} == set(ShipmentState) - OPEN


@given(STATES, st.lists(REPORTS, max_size=6))
def test_reports_in_any_order_never_raise_and_never_undo_a_departure(start, reports):
    left = {
        ShipmentState.DISPATCHED,
        ShipmentState.DELIVERED,
        ShipmentState.RETURNED,
        ShipmentState.LOST,
        ShipmentState.CLOSED,
    }
    shipment = a_shipment(state=start)
    for report in reports:
        after = hear(shipment, report, now=TEN)
        assert after == hear(after, report, now=TEN) or after.state is not shipment.state
        assert shipment.state not in left or after.state is shipment.state
        shipment = after


@given(STATES)
def test_giving_up_never_stops_what_has_left(state):
    after = give_up(a_shipment(state=state, order_no="17"), now=TEN, reason="ended")

    stops = {ShipmentState.CANCELLED, ShipmentState.CANCELLING}
    assert after.state is state or after.state in stops
    assert after.state is not ShipmentState.CANCELLING or after.due_at is not None


def test_a_push_under_way_keeps_its_lease_when_given_up():
    lease = TEN + timedelta(minutes=10)

    after = give_up(a_shipment(state=ShipmentState.PUSHED, due_at=lease), now=TEN, reason="x")

    assert (after.state, after.due_at) == (ShipmentState.CANCELLING, lease)


@pytest.mark.parametrize(
    ("funded", "leaves"),
    [
        (china(2, 27, 23, 59), date(2026, 3, 1)),
        (china(2, 28, 0, 0), date(2026, 3, 2)),
        (china(2, 27, 12, year=2028), date(2028, 2, 29)),
        (china(12, 30, 9), date(2027, 1, 1)),
    ],
)
def test_a_parcel_leaves_two_days_of_china_after_its_money(funded, leaves):
    assert ship_on(funded) == leaves
    day_before = leaves - timedelta(days=1)
    assert planned_for(a_shipment(), leaves).due_at == china(
        day_before.month, day_before.day, 10, year=day_before.year
    )


def test_waiting_ends_after_seven_days():
    shipment, now = a_shipment(state=ShipmentState.OUT_OF_STOCK), china(3, 4, 9)
    mornings = 0
    while shipment.state is ShipmentState.OUT_OF_STOCK:
        shipment = wait_a_day(shipment, now=now, reason="out_of_stock")
        now, mornings = shipment.due_at or now, mornings + 1

    assert (mornings, shipment.state) == (8, ShipmentState.CANCELLING)
    assert now == china(3, 11, 9)


def test_unclear_answers_are_asked_about_less_and_less_often():
    shipment, waits = a_shipment(state=ShipmentState.PUSHED), []
    for _ in range(9):
        shipment = unclear(shipment, now=TEN)
        waits.append(((shipment.due_at or TEN) - TEN) / timedelta(minutes=1))

    assert waits[:4] == [5, 15, 30, 60]
    assert shipment.due_at == china(3, 3, 9)


def test_a_reminder_fixes_contents_and_tomorrows_departure():
    told = remind(a_shipment(), Stage.ADULT, now=china(3, 3, 10))

    assert (told.ship_on, told.revision, told.due_at) == (date(2026, 3, 4), 1, china(3, 4, 9))


def test_checks_are_at_six_in_the_evening():
    assert next_check(china(3, 4, 9)) == china(3, 4, 18)
    assert next_check(china(3, 4, 18)) == china(3, 5, 18)


@given(st.uuids())
def test_our_number_tells_the_shipment(shipment_id):
    number = shipment_no(shipment_id)

    assert shipment_id_of(number) == shipment_id
    assert len(number) <= 50
    assert number.isalnum()


@given(st.text(max_size=40))
def test_foreign_numbers_are_nobodys(text):
    assert shipment_id_of(text) is None or text.startswith("YF")


NODES = st.lists(
    st.builds(
        Node,
        st.integers(-2000, 8000).map(lambda minutes: TEN + timedelta(minutes=minutes)),
        st.sampled_from([*ParcelState, None]),
        st.just("1"),
        st.just("x"),
    ),
    max_size=8,
)


def a_parcel(**changes: Any) -> Parcel:
    fields: dict[str, Any] = {
        "merchant_id": derived_id("m"),
        "parcel_id": derived_id("p"),
        "shipment_id": derived_id("s"),
        "carrier": "sf",
        "tracking_no": "SF1",
        "token": "t",
        "state": ParcelState.CREATED,
        "sent_at": TEN,
        "news_at": TEN,
        "due_at": TEN,
    }
    return Parcel(**(fields | changes))


@given(NODES, st.randoms())
def test_the_state_does_not_depend_on_the_order_of_news(nodes, random):
    now = datetime(2026, 3, 10, tzinfo=UTC)
    together = follow(a_parcel(), nodes, now=now)
    shuffled = list(nodes)
    random.shuffle(shuffled)

    one_by_one = a_parcel()
    for node in shuffled:
        one_by_one = follow(one_by_one, [node], now=now)

    assert (one_by_one.state, one_by_one.head_at) == (together.state, together.head_at)
    assert follow(together, nodes, now=now) == together


def test_news_from_the_future_is_not_believed():
    node = Node(TEN + timedelta(minutes=11), ParcelState.DELIVERED, "301", "")

    assert follow(a_parcel(), [node], now=TEN).state is ParcelState.CREATED


def test_silence_is_stuck_after_five_days_and_lost_after_ten():
    stuck, lost = silent(a_parcel(), now=china(3, 7, 12))
    gone, lost_later = silent(stuck, now=china(3, 12, 12))

    assert (lost, lost_later) == (False, True)
    assert stuck.due_at == china(3, 12, 12)
    assert gone.due_at is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("快递员13812345678派件", "快递员138****5678派件"),
        ("单号78000000000001", "单号78000000000001"),
        ("", ""),
    ],
)
def test_phone_numbers_in_tracks_are_masked(text, shown):
    assert masked(text) == shown


def test_carriers_are_known_by_any_spelling_of_their_name():
    assert [carrier_named(name) for name in ("中通快递", "顺丰速运", "某某物流")] == [
        "zto",
        "sf",
        "某某物流",
    ]


def test_an_inactive_substitute_is_not_sent():
    gone = replace(CATALOGUE["ADULT-FISH"], active=False)
    given_choice = Choice(CATALOGUE | {"ADULT-FISH": gone}, [FISH], TEN)
    packed = (Item("ADULT", "x", 1, 5500, Why.BUNDLE),)

    changed, short = without_short(packed, {"ADULT-FISH": 9}, given_choice)

    assert (changed, short) == (None, [("ADULT", None)])


def test_a_sku_is_compared_with_all_it_is_made_of():
    sku = Sku("X", "x", 1, "w", ("Chicken Fat",), (), True)

    assert not choice("chicken fat").suits(sku)
    assert not choice(" CHICKEN ").suits(sku)
    assert choice("cod", "").suits(sku)
