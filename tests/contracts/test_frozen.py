"""Events keep what their versions promised; the frozen schemas are the promise."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from deploy.topology import SERVICES
from shared.asyncapi import document, schema_of
from shared.events import Event

ROOT = Path(__file__).parents[2]


def published(service: str) -> list[type[Event]]:
    contract = import_module(f"services.{service}.contract")
    classes = [getattr(contract, name) for name in contract.__all__]
    return [cls for cls in classes if isinstance(cls, type) and issubclass(cls, Event)]


EVENTS = [event for service in SERVICES for event in published(service)]


def frozen(event: type[Event]) -> Path:
    return ROOT / "services" / event.publisher() / "contract/frozen" / f"{event.subject}.json"


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.subject)
def test_an_event_still_has_the_schema_it_promised(event):
    assert json.loads(frozen(event).read_text()) == schema_of(event)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.subject)
def test_an_event_belongs_to_the_service_that_defines_it(event):
    assert event.__module__ == f"services.{event.publisher()}.contract.events"
    assert event.subject.count(".") == 3
    assert event.about in event.model_fields


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.subject)
def test_an_event_carries_no_personal_data(event):
    """Contact data travels sealed; names of merchants and plans are public."""
    private = {"name", "phone", "mobile", "address", "id_number", "real_name"}
    public = {("signing.plan.published.v1", "name")}

    found = {(event.subject, field) for field in event.model_fields if field in private}

    assert found <= public


def test_nothing_is_frozen_that_nobody_publishes():
    stands = {path.stem for path in ROOT.glob("services/*/contract/frozen/*.json")}

    assert stands == {event.subject for event in EVENTS}


def test_subjects_are_unique():
    assert len({event.subject for event in EVENTS}) == len(EVENTS)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_publishes_all_of_its_contract(service):
    app = import_module(f"services.{service}.app")

    assert set(app.SERVICE.says) == set(published(service))


@pytest.mark.parametrize("service", SERVICES)
def test_the_asyncapi_document_names_every_event_of_a_service(service):
    app = import_module(f"services.{service}.app").SERVICE
    text: dict[str, Any] = document(
        service, says=app.says, hears=[on.event for on in app.consumers]
    )

    assert text["asyncapi"] == "3.0.0"
    for event in app.says:
        assert f"send_{event.subject.replace('.', '_')}" in text["operations"]
    for on in app.consumers:
        assert f"receive_{on.event.subject.replace('.', '_')}" in text["operations"]
