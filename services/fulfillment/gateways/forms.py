"""Forms as Chinese providers send and take them, and their times without a zone."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

import aiohttp
import orjson

from shared.calendar import CHINA
from shared.errors import Malformed, TryLater, Unauthentic

TIMEOUT: Final = aiohttp.ClientTimeout(total=15, sock_connect=3)
MOST_FIELDS: Final = 20
MOST_BYTES: Final = 8 * 2**20


async def post(
    session: aiohttp.ClientSession,
    url: str,
    fields: Mapping[str, str],
    *,
    unclear: type[TryLater],
) -> dict[str, Any]:
    """
    Post a form once and return the JSON object that comes back.

    Raises:
        TryLater: As *unclear*: no answer, not 200, or no JSON object.
    """
    try:
        async with session.post(url, data=fields, timeout=TIMEOUT, allow_redirects=False) as answer:
            body = await answer.content.read(MOST_BYTES)
            status = answer.status
    except (aiohttp.ClientError, OSError) as error:
        raise unclear("No answer.", error=type(error).__name__) from error
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise unclear("An answer that is no JSON.", status=status) from error
    if status != 200 or not isinstance(told, dict):  # noqa: PLR2004
        raise unclear("An odd answer.", status=status)
    return told


def read_form(body: bytes) -> dict[str, str]:
    """
    Return the fields of a signed form.

    Raises:
        Unauthentic: It is not a form, so that nobody can have signed it.
    """
    try:
        pairs = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            strict_parsing=True,
            max_num_fields=MOST_FIELDS,
        )
    except ValueError as error:
        raise Unauthentic("This is not a form.") from error
    return dict(pairs)


def read_json(text: str) -> dict[str, Any]:
    """
    Return a JSON object.

    Raises:
        Malformed: It is not one.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Malformed("This is not JSON.") from error
    if not isinstance(value, dict):
        raise Malformed("This is not a JSON object.")
    return value


def china_text(moment: datetime) -> str:
    """Return *moment* as China's clocks show it, ``yyyy-MM-dd HH:mm:ss``."""
    return moment.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


def from_china(text: str) -> datetime:
    """
    Return the instant of ``yyyy-MM-dd HH:mm:ss`` on China's clocks.

    Raises:
        Malformed: It is not written so.
    """
    try:
        local = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA)
    except ValueError as error:
        raise Malformed("This is not a time.") from error
    return local.astimezone(UTC)
