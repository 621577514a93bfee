"""A trace goes on from caller to message to handler, whether or not we record it."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared import tracing
from shared.db import Database
from tests.support.web_api import served

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    tracing.configure("billing", otlp_endpoint=None, ratio=1.0, exporter=exporter)
    yield exporter
    tracing.shut_down()


def test_without_a_trace_there_is_nothing_to_hand_on():
    headers: dict[str, str] = {}
    tracing.inject(headers)

    assert (headers, tracing.traceparent(), tracing.trace_id()) == ({}, None, None)


def test_a_callers_trace_is_handed_on_even_when_nothing_is_recorded():
    with tracing.serving("GET", "/x", {"traceparent": PARENT}):
        assert tracing.traceparent() == PARENT
    with tracing.consuming("c", [{"traceparent": PARENT}]):
        assert tracing.trace_id() == TRACE
    assert tracing.traceparent() is None


def test_an_odd_traceparent_is_ignored():
    with tracing.serving("GET", "/x", {"traceparent": "nonsense"}):
        assert tracing.traceparent() is None


def test_a_message_continues_its_senders_trace(spans):
    with tracing.serving("POST", "/x", {"traceparent": PARENT}):
        headers = {"traceparent": tracing.traceparent() or ""}
    with tracing.consuming("wallet__x", [headers]), tracing.span("inside"):
        assert tracing.trace_id() == TRACE
    tracing.shut_down()

    names = {span.name for span in spans.get_finished_spans()}
    assert names == {"POST /x", "wallet__x", "inside"}


def test_a_batch_is_linked_to_each_of_its_causes(spans):
    headers = [{"traceparent": PARENT}, {}, {"traceparent": PARENT.replace("b7", "c8")}]
    with tracing.consuming("wallet__x", headers):
        assert tracing.trace_id() != TRACE
    tracing.shut_down()

    (span,) = spans.get_finished_spans()
    assert {link.context.trace_id for link in span.links} == {int(TRACE, 16)}
    assert len(span.links) == 2


async def test_a_request_is_a_span_of_its_callers_trace(spans, signing_db: Database):
    async with served(signing_db) as shop:
        await shop.client.get("/v1/picture", headers={"traceparent": PARENT})
    tracing.shut_down()

    served_spans = [span for span in spans.get_finished_spans() if "picture" in span.name]
    assert [span.name for span in served_spans if span.kind.name == "SERVER"] == ["GET /v1/picture"]
