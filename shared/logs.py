"""
Logs: one JSON object per line on stdout, with the ids of request, trace and message.

Nothing personal gets out: values are masked by the name of their key and by their
look (mobile numbers, resident ids, bank cards), in texts and tracebacks alike.
"""

import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TextIO

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

from shared import tracing

SECRET_KEYS: Final = re.compile(
    r"(?:^|_)(?:name|mobile|phone|tel|address|id_number|id_card|card|bank_card|password|secret"
    r"|token|authorization|cookie|session_key|private_key|seed|signature|sms_code|verify_code"
    r"|real_name|cert_no|cert_name|openid|open_id|unionid)(?:$|_(?:no|number|text|value))"
)
"""Keys whose values never appear, whatever they look like."""

MASKED: Final = "***"

# Hexadecimal neighbours mean an id of ours, not a number of somebody.
_MOBILE = re.compile(r"(?<![0-9A-Fa-f])(?:\+?86[- ]?)?(1[3-9]\d)\d{4}(\d{4})(?![0-9A-Fa-f])")
_RESIDENT = re.compile(r"(?<![0-9A-Fa-f])[1-9]\d{16}[0-9Xx](?![0-9A-Fa-f])")
_DIGITS = re.compile(r"(?<![0-9A-Fa-f-])\d{13,19}(?![0-9A-Fa-f-])")
_SUSPECT = re.compile(r"\d{11}")


def configure(service: str, level: str = "INFO", *, out: TextIO | None = None) -> None:
    """Log JSON to *out* (stdout) from now on, the libraries' own lines included."""
    out = out or sys.stdout
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _add_service(service),
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        structlog.processors.format_exc_info,
        mask_event,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_to_json)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    _configure_libraries(level, shared, out)


@contextmanager
def bound(**ids: object) -> Iterator[None]:
    """Put *ids* into every line logged inside; outer ones come back afterwards."""
    with structlog.contextvars.bound_contextvars(**ids):
        yield


def mask_event(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Mask what is personal or secret in one log line."""
    for key, value in event.items():
        event[key] = _masked(key, value)
    return event


def mask_text(text: str) -> str:
    """Mask mobile numbers, resident ids and bank cards wherever they stand in *text*."""
    if _SUSPECT.search(text) is None:
        return text
    text = _RESIDENT.sub(lambda found: f"{found[0][:6]}********{found[0][-4:]}", text)
    text = _DIGITS.sub(_mask_card, text)
    return _MOBILE.sub(r"\1****\2", text)


def _masked(key: str, value: Any) -> Any:
    if isinstance(key, str) and SECRET_KEYS.search(key.lower()):
        return MASKED if value else value
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, Mapping):
        return {str(inner): _masked(str(inner), what) for inner, what in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked("", item) for item in value]
    if isinstance(value, int | float | None):
        return value
    return mask_text(str(value))


def _mask_card(found: re.Match[str]) -> str:
    return f"****{found[0][-4:]}" if _passes_luhn(found[0]) else found[0]


def _passes_luhn(digits: str) -> bool:
    doubled = (int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0  # noqa: PLR2004


def _add_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    trace_id = tracing.trace_id()
    if trace_id is not None:
        event["trace_id"] = trace_id
    return event


def _configure_libraries(level: str, shared: list[Any], out: TextIO) -> None:
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_to_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelName(level)))


def _add_service(service: str) -> Any:
    def add(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event.setdefault("service", service)
        return event

    return add


def _to_json(value: object, **_: object) -> str:
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
