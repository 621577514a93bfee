"""What WeChat and Aliyun let through: field limits of templates, numbers, frequencies."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

MOBILE: Final = re.compile(r"(?:\+86|0086|86)?(1[3-9]\d{9})")
"""A mainland number in the forms the SMS provider reads."""

_FIELD_FORMS: Final[Mapping[str, re.Pattern[str]]] = {
    "thing": re.compile(r".{1,20}", re.DOTALL),
    "character_string": re.compile(r"[\x21-\x7e]{1,32}"),
    "number": re.compile(r"(?=.{1,32}$)-?\d+(\.\d+)?"),
    "letter": re.compile(r"[A-Za-z]{1,32}"),
    "symbol": re.compile(r"[^\w\s]{1,5}"),
    "time": re.compile(r"(?:\d{4}年\d{1,2}月\d{1,2}日 ?)?\d{1,2}:\d{2}(?:~.*\d{1,2}:\d{2})?"),
    "date": re.compile(r"\d{4}年\d{1,2}月\d{1,2}日(?: ?\d{1,2}:\d{2})?(?:~.+)?|\d{4}-\d\d-\d\d"),
    "amount": re.compile(r"[¥$￥]?\d{1,10}(\.\d+)?元?"),
    "phone_number": re.compile(r"[\d+\-() *]{1,17}"),
    "car_number": re.compile(r".{1,8}"),
    "name": re.compile(r"[\u4e00-\u9fff·]{1,10}|[\x20-\x7e]{1,20}"),
    "phrase": re.compile(r"[\u4e00-\u9fff]{1,5}"),
}
_FIELD_NAME: Final = re.compile(r"([a-z_]+?)\d*")
_BANNED_IN_SMS: Final = ("贷款", "催款", "信用卡", "投资理财", "征信", "【", "】")


def wrong_fields(data: Mapping[str, object]) -> list[str]:
    """
    Return the keys of a subscription message whose value WeChat would refuse.

    Source: WeChat, subscribeMessage.send, limits by key prefix; a date written
    with hyphens is taken as well, since the page forbids it nowhere.
    """
    return [key for key, value in data.items() if not _field_fits(key, value)]


def _field_fits(key: str, value: object) -> bool:
    text = value.get("value") if isinstance(value, dict) else None
    name = _FIELD_NAME.fullmatch(key)
    form = _FIELD_FORMS.get(name.group(1)) if name else None
    return isinstance(text, str) and form is not None and form.fullmatch(text) is not None


def mobile(text: str) -> str | None:
    """Return the bare 11 digits of a mainland number, or None when it is no such number."""
    match = MOBILE.fullmatch(text)
    return match.group(1) if match else None


def banned_word(values: Iterable[str]) -> str | None:
    """Return the first word among *values* that carriers do not let through, if any."""
    text = "\n".join(values)
    return next((word for word in _BANNED_IN_SMS if word in text), None)


def too_many(earlier: Iterable[datetime], *, now: datetime, limit: int, within: timedelta) -> bool:
    """Tell whether *limit* messages already lie in the span *within* before *now*."""
    since = now - within
    return sum(since < moment <= now for moment in earlier) >= limit


def parts_of(text: str) -> int:
    """Return how many SMS *text* takes: up to 70 characters one, then 67 per part."""
    return 1 if len(text) <= 70 else -(-len(text) // 67)  # noqa: PLR2004 - the rule above
