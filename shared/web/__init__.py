"""The HTTP kit: typed endpoints, keys, problems, idempotency, limits, their document."""

from shared.web.api import BODY_LIMIT, Api, Endpoint
from shared.web.call import Call, Caller, HasDatabase
from shared.web.limits import ACTIVITY, Activity, Limits
from shared.web.models import (
    Body,
    CursorInvalid,
    FenAmount,
    Page,
    PageQuery,
    PositiveFen,
    Query,
    Raw,
    Text,
    View,
    make_cursor,
    named,
    read_cursor,
)

__all__ = [
    "ACTIVITY",
    "BODY_LIMIT",
    "Activity",
    "Api",
    "Body",
    "Call",
    "Caller",
    "CursorInvalid",
    "Endpoint",
    "FenAmount",
    "HasDatabase",
    "Limits",
    "Page",
    "PageQuery",
    "PositiveFen",
    "Query",
    "Raw",
    "Text",
    "View",
    "make_cursor",
    "named",
    "read_cursor",
]
