"""Figures have the names that dashboards and alerts ask for."""

from aiohttp.test_utils import make_mocked_request

from shared import metrics
from shared.db import Database
from tests.support.web_api import served


def figure(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


async def test_requests_are_counted_by_pattern_never_by_path(signing_db: Database):
    labels = {"method": "GET", "route": "/v1/shelves/{number}/{code}", "status": "200"}
    before = figure("yuefu_http_requests_total", **labels)

    async with served(signing_db) as shop:
        await shop.client.get("/v1/shelves/7/abc")
        await shop.client.get("/v1/shelves/8/abc")

    assert figure("yuefu_http_requests_total", **labels) == before + 2
    del labels["status"]
    assert figure("yuefu_http_request_seconds_count", **labels) >= 2


def test_events_are_counted_by_what_became_of_them():
    metrics.events_handled("wallet__x", applied=3, repeated=2)
    metrics.event_failed("wallet__x")
    metrics.event_buried("wallet__x")

    for outcome, count in (("applied", 3), ("repeated", 2), ("failed", 1), ("dead", 1)):
        assert figure("yuefu_events_total", consumer="wallet__x", outcome=outcome) == count


def test_a_state_that_emptied_goes_back_to_zero():
    metrics.state_oldest("parcel", [("pushed", 60.0), ("lost", 5.0)])
    metrics.state_oldest("parcel", [("pushed", 90.0)])

    assert figure("yuefu_state_oldest_seconds", thing="parcel", state="pushed") == 90.0
    assert figure("yuefu_state_oldest_seconds", thing="parcel", state="lost") == 0.0


async def test_the_page_is_prometheus_text():
    metrics.outbox_waits(4, 1.5)
    metrics.dead_letters_wait("wallet__x", 2)
    metrics.job_ran("daily", ok=False)

    answer = await metrics.show(make_mocked_request("GET", "/metrics"))

    assert isinstance(answer.body, bytes)
    lines = answer.body.decode().splitlines()
    assert "yuefu_outbox_pending 4.0" in lines
    assert "yuefu_outbox_oldest_seconds 1.5" in lines
    assert 'yuefu_dead_letters{consumer="wallet__x"} 2.0' in lines
    assert 'yuefu_job_runs_total{job="daily",ok="false"} 1.0' in lines
