"""What goes in and out of an endpoint: bodies, queries, views, pages, raw answers."""

import base64
import binascii
from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, Self, TypeVar

import orjson
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from shared.errors import Malformed

PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 200
CURSOR_MAX: Final = 512

BIGINT_MAX: Final = 2**63 - 1

FenAmount = Annotated[int, Field(ge=0, le=10**13)]
"""An amount in fen that a caller names; zero or more, far below what a bigint holds."""

PositiveFen = Annotated[int, Field(gt=0, le=10**13)]
"""An amount in fen that a caller names; at least one fen."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
"""A short text that is not empty."""

T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S")
I = TypeVar("I")  # noqa: E741 - the tie-breaking id


class CursorInvalid(Malformed):
    """The cursor is not one that this endpoint gave out."""

    code = "cursor-invalid"


def named(*fields: str, only_one: bool = False) -> ConfigDict:
    """Say in a body's schema that one of optional *fields* is named, or even only one."""
    choices: list[JsonValue] = []
    for field in fields:
        shapes: dict[str, JsonValue] = {field: {"not": {"type": "null"}}}
        if only_one:
            shapes |= {other: {"type": "null"} for other in fields if other != field}
        choices.append({"required": [field], "properties": shapes})
    return ConfigDict(json_schema_extra={"anyOf": choices})


class Body(BaseModel):
    """What a caller sends; unknown members are refused, JSON types are not converted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="after")
    def _whole_numbers_fit(self) -> Self:
        for name, value in self.__dict__.items():
            if type(value) is int and not -BIGINT_MAX - 1 <= value <= BIGINT_MAX:
                raise ValueError(f"{name} is too large a number")
        return self


class Query(Body):
    """What stands behind the question mark; texts are converted to the fields' types."""


class PageQuery(Query):
    """A query whose answer comes in pages; subclass it to add filters."""

    limit: int = Field(default=PAGE_DEFAULT, ge=1, le=PAGE_MAX, description="Items per page.")
    cursor: str | None = Field(
        default=None, max_length=CURSOR_MAX, description="`next_cursor` of the page before."
    )

    def after(self, sort: type[S], tie: type[I]) -> tuple[S, I] | None:
        """
        Return the (sort key, id) of the last item the caller has seen, None at the start.

        Raises:
            CursorInvalid: The cursor was not made from a *sort* and a *tie*.
        """
        return None if self.cursor is None else read_cursor(self.cursor, sort, tie)


class View(BaseModel):
    """What we answer; made from a domain record with ``View.model_validate(record)``."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Page(BaseModel, Generic[T]):
    """Some of many items, and where to go on."""

    model_config = ConfigDict(frozen=True)

    items: list[T]
    next_cursor: str | None = Field(
        default=None, description="Send as `cursor` to read on; null on the last page."
    )

    @classmethod
    def of(
        cls,
        rows: Sequence[R],
        *,
        limit: int,
        key: Callable[[R], tuple[object, object]],
        view: Callable[[R], Any],
    ) -> Self:
        """
        Return the page of *rows*, which were read with a limit of ``limit + 1``.

        *key* gives a row's (sort key, id), by which the rows are ordered; the row too
        many only tells that there is a next page.
        """
        shown = rows[:limit]
        more = len(rows) > limit
        return cls(
            items=[view(row) for row in shown],
            next_cursor=make_cursor(*key(shown[-1])) if more else None,
        )


@dataclass(frozen=True, slots=True)
class Raw:
    """
    An answer that is not JSON, e.g. a PDF; *filename* makes it a download.

    *cached_s* is for how many seconds the caller, and nobody between, may keep it.
    A *body* in pieces is sent as it comes; an error in its midst cuts the connection.
    """

    content_type: str
    body: bytes | AsyncIterable[bytes]
    filename: str | None = None
    cached_s: int | None = None


def make_cursor(sort: object, tie: object) -> str:
    """Return an opaque cursor for the item with this sort key and this id."""
    # asyncpg has a UUID class of its own, which orjson does not know.
    return base64.urlsafe_b64encode(orjson.dumps([sort, tie], default=str)).rstrip(b"=").decode()


def read_cursor(cursor: str, sort: type[S], tie: type[I]) -> tuple[S, I]:
    """
    Return what ``make_cursor`` was given.

    Raises:
        CursorInvalid: It was given something else, or nothing of the kind.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        first, second = orjson.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
        return (
            TypeAdapter(sort).validate_python(first),
            TypeAdapter(tie).validate_python(second),
        )
    except (ValueError, TypeError, binascii.Error, ValidationError) as error:
        raise CursorInvalid("This cursor was not made here.") from error
