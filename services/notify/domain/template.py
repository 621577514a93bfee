"""Templates: a wording with typed parameters, filled in only if everything fits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Final, assert_never

from services.notify.contract.states import Channel
from services.notify.domain.errors import ParamsInvalid
from shared.calendar import CHINA
from shared.money import yuan

SMS_MAX: Final = 500
"""Characters of a whole SMS; longer templates are not taken (Aliyun)."""
SMS_PART: Final = 70
SMS_LONG_PART: Final = 67
ALIPAY_VALUE_MAX: Final = 50
THING_MAX: Final = 20
GENERIC_PLAN: Final = "宠物套餐"

BANNED: Final = (
    "贷", "分期", "月付", "催款", "催收", "逾期", "欠款", "债", "征信", "信用卡", "投资",
    "公安", "法院", "律师", "起诉", "黑名单", "失信", "后果自负", "回复R", "回T",
    "【", "】", "http",
)  # fmt: skip
"""What carriers and our own rules do not let through (templates of notifications, DN-T1..T6)."""

_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")
_ASCII: Final = re.compile(r"[\x21-\x7e]+")
_WECHAT: Final[Mapping[str, re.Pattern[str]]] = {
    "thing": re.compile(r".{1,20}", re.DOTALL),
    "character_string": re.compile(r"[\x21-\x7e]{1,32}"),
    "number": re.compile(r"\d{1,32}"),
    "date": re.compile(r"\d{4}年\d{1,2}月\d{1,2}日"),
    "time": re.compile(r"\d{4}年\d{1,2}月\d{1,2}日 \d{1,2}:\d{2}"),
    "amount": re.compile(r"\d{1,10}\.\d{2}元"),
    "phone_number": re.compile(r"[\d\-+]{1,17}"),
    "phrase": re.compile(r"[\u4e00-\u9fff]{1,5}"),
}
"""Limits by key prefix (WeChat, subscribeMessage.send)."""


class ParamKind(StrEnum):
    """How a fact becomes text."""

    AMOUNT = "amount"
    DATE = "date"
    MOMENT = "moment"
    COUNT = "count"
    TEXT = "text"
    CODE = "code"
    LINK = "link"


_SUFFIX: Final = {
    ParamKind.AMOUNT: "_fen",
    ParamKind.DATE: "_on",
    ParamKind.MOMENT: "_at",
    ParamKind.LINK: "_url",
}


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter; *limit* is the longest text it may become, in characters."""

    name: str
    kind: ParamKind
    limit: int = 32

    @property
    def fact(self) -> str:
        """Return the name of the fact it is made from: ``amount`` from ``amount_fen``."""
        return self.name + _SUFFIX.get(self.kind, "")


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a mini-program message: its label, WeChat's key, and its text."""

    label: str
    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """
    One version of a wording on one channel; *codes* are its numbers at the providers.

    A version never changes once it was used: another text is another version.
    """

    key: str
    channel: Channel
    version: int
    title: str
    text: str = ""
    page: str = ""
    fields: tuple[Field, ...] = ()
    params: tuple[Param, ...] = ()
    codes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a wording that names what it does not declare, or says what nobody may say."""
        whole = self.text + self.page + "".join(line.value for line in self.fields)
        used, declared = set(_VARIABLE.findall(whole)), {param.name for param in self.params}
        if used != declared:
            raise ValueError(f"{self.key}: parameters differ: {used ^ declared}")
        if word := banned_word(self.title + whole):
            raise ValueError(f"{self.key}: says {word}")
        if (self.channel is Channel.SMS) != bool(self.text) or bool(self.text) == bool(self.fields):
            raise ValueError(f"{self.key}: an SMS has a text, a mini-program message has fields")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A template filled in: the whole text, and its parts as providers want them."""

    text: str
    values: Mapping[str, str]
    fields: tuple[tuple[str, str], ...]
    page: str


def banned_word(text: str) -> str | None:
    """Return the first word of *text* that may not be sent, None if it is clean."""
    return next((word for word in BANNED if word in text), None)


def sms_parts(text: str) -> int:
    """Return how many SMS *text* takes: 70 characters fit in one, then 67 in each."""
    return 1 if len(text) <= SMS_PART else -(-len(text) // SMS_LONG_PART)


def render(template: Template, facts: Mapping[str, object]) -> Rendered:
    """
    Fill *template* with *facts*; facts it does not name are ignored.

    Raises:
        ParamsInvalid: A fact is missing, of another kind, or too long.
    """
    values = {param.name: _value(template, param, facts) for param in template.params}
    if template.channel is Channel.SMS:
        text = _fill(template.text, values)
        if len(text) > SMS_MAX:
            raise ParamsInvalid("The SMS is too long.", template=template.key, length=len(text))
        return Rendered(text, values, (), "")
    lines = tuple(
        (line, _fit(template, line, _fill(line.value, values))) for line in template.fields
    )
    shown = [template.title, *(f"{line.label}：{value}" for line, value in lines)]
    return Rendered(
        text="\n".join(shown),
        values=values,
        fields=tuple((line.key, value) for line, value in lines),
        page=_fill(template.page, values),
    )


def _fill(text: str, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: values[found[1]], text)


def _value(template: Template, param: Param, facts: Mapping[str, object]) -> str:
    try:
        text = _text(param, facts[param.fact])
    except (KeyError, ValueError, TypeError) as error:
        raise ParamsInvalid(
            "A parameter is missing or of another kind.", template=template.key, param=param.fact
        ) from error
    if not text or len(text) > param.limit:
        raise ParamsInvalid(
            "A parameter is empty or too long.",
            template=template.key,
            param=param.fact,
            limit=param.limit,
        )
    return text


def _text(param: Param, fact: object) -> str:
    match param.kind:
        case ParamKind.AMOUNT:
            return yuan(_whole(fact))
        case ParamKind.COUNT:
            return str(_whole(fact))
        case ParamKind.DATE:
            day = date.fromisoformat(_string(fact))
            return f"{day.year}年{day.month}月{day.day}日"
        case ParamKind.MOMENT:
            moment = datetime.fromisoformat(_string(fact)).astimezone(CHINA)
            return f"{moment.year}年{moment.month}月{moment.day}日 {moment:%H:%M}"
        case ParamKind.TEXT:
            return _clean(param, _string(fact))
        case ParamKind.CODE | ParamKind.LINK:
            return _code(_string(fact).rstrip("/").rpartition("/")[2])
        case _:
            assert_never(param.kind)


def _whole(fact: object) -> int:
    if type(fact) is not int or fact < 0:
        raise ValueError("not a whole number")
    return fact


def _string(fact: object) -> str:
    if not isinstance(fact, str):
        raise TypeError("not a text")
    return fact.strip()


def _code(text: str) -> str:
    if not _ASCII.fullmatch(text):
        raise ValueError("not a code")
    return text


def _clean(param: Param, text: str) -> str:
    """Cut a name of somebody else's making to its limit; replace one that nobody may send."""
    if banned_word(text):
        return GENERIC_PLAN if param.name == "plan" else "-"
    return text if len(text) <= param.limit else text[: param.limit - 1] + "…"


def _fit(template: Template, line: Field, value: str) -> str:
    prefix = line.key.rstrip("0123456789")
    if prefix == "thing" and len(value) > THING_MAX:
        value = value[: THING_MAX - 1] + "…"
    if not _WECHAT[prefix].fullmatch(value) or len(value) > ALIPAY_VALUE_MAX:
        raise ParamsInvalid("A field does not fit.", template=template.key, field=line.key)
    return value
