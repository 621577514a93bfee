"""Logs are JSON, carry their ids, and hold nothing personal."""

import io
import json
import logging

import pytest
import structlog

from shared import logs
from shared.logs import mask_event, mask_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("call 13800138000 now", "call 138****8000 now"),
        ("+8613800138000", "138****8000"),
        ("电话13800138000。", "电话138****8000。"),
        ("id 11010120000101001X", "id 110101********001X"),
        ("card 6222021234567890128", "card ****0128"),
        ("order 6222021234567890123", "order 6222021234567890123"),
        ("0190a1b2-1234-7abc-8def-138001380001", "0190a1b2-1234-7abc-8def-138001380001"),
        ("tel13800138000x", "tel138****8000x"),
        ("a13800138000b", "a13800138000b"),
        ("amount 199000 fen", "amount 199000 fen"),
        ("2027030122001138001380001234", "2027030122001138001380001234"),
    ],
)
def test_what_looks_personal_is_masked(text, shown):
    assert mask_text(text) == shown


def test_what_is_called_personal_is_masked():
    event = {
        "event": "contact.changed",
        "name": "张三",
        "mobile_no": "x",
        "api_token": "t",
        "amount_fen": 1990,
        "rail": "alipay",
        "inner": {"address": "somewhere", "city": "Beijing"},
        "many": ["13800138000", 5],
        "nothing": None,
    }

    assert mask_event(None, "info", event) == {
        "event": "contact.changed",
        "name": "***",
        "mobile_no": "***",
        "api_token": "***",
        "amount_fen": 1990,
        "rail": "alipay",
        "inner": {"address": "***", "city": "Beijing"},
        "many": ["138****8000", 5],
        "nothing": None,
    }


@pytest.fixture
def configured():
    """Logging set up for a service, and everything as before afterwards."""
    before = structlog.get_config()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    out = io.StringIO()
    logs.configure("billing", "INFO", out=out)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_is_json_with_its_ids(configured):
    log = structlog.get_logger()

    with logs.bound(request_id="r1"):
        log.info("charge.settled", amount_fen=1990)
    log.debug("charge.looked_at")

    (line,) = configured()
    assert line["event"] == "charge.settled"
    assert (line["service"], line["request_id"], line["amount_fen"]) == ("billing", "r1", 1990)
    assert line["level"] == "info"
    assert line["timestamp"].endswith("Z")


def test_tracebacks_and_libraries_are_masked_too(configured):
    try:
        int("13800138000x")
    except ValueError:
        structlog.get_logger().exception("request.broke")
    logging.getLogger("asyncpg").warning("lost %s", "13800138000")

    ours, theirs = configured()
    assert "138****8000" in ours["exception"]
    assert "13800138000" not in json.dumps(ours)
    assert theirs["event"] == "lost 138****8000"
    assert theirs["service"] == "billing"
