"""The envelope of the warehouse's ERP: refusals by code, business bodies, spans and pages."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from deploy.sandbox.kit import Doc, Fault, FaultKind
from deploy.sandbox.provider_time import from_china

MAX_WINDOW: Final = timedelta(days=7)
SUCCESS: Final = "执行成功"
_NAMES: Final = {
    10: "签名验证失败",
    100: "access_token无效或已过期",
    130: "参数错误",
    140: "timestamp超出范围",
    199: "调用频率超出限制(每秒)",
    200: "调用频率超出限制(每分钟)",
}


class Refused(Exception):
    """The whole call is refused."""

    def __init__(self, code: int, detail: str = "") -> None:
        """Refuse with *code*."""
        super().__init__(code)
        self.code = code
        self.msg = f"{_NAMES.get(code, '调用失败')} {detail}".strip()


def biz_of(fields: dict[str, str]) -> Any:
    """Return the business body, or None when it is not JSON."""
    try:
        return orjson.loads(fields.get("biz", "{}"))
    except orjson.JSONDecodeError:
        return None


def decline_call(fault: Fault | None) -> None:
    """
    Refuse the whole call when the script says so with a number.

    Raises:
        Refused: The fault is ``decline:`` and a code.
    """
    if fault is not None and fault.kind is FaultKind.DECLINE and fault.argument.isdigit():
        raise Refused(int(fault.argument))


def window(biz: Doc) -> tuple[datetime, datetime]:
    """
    Return the span of a query by time.

    Raises:
        Refused: There is none, or it is longer than seven days.
    """
    try:
        begin, end = (from_china(str(biz[f"modified_{side}"])) for side in ("begin", "end"))
    except (KeyError, ValueError):
        raise Refused(130, "so_ids, modified_begin, modified_end") from None
    if not begin <= end <= begin + MAX_WINDOW:
        raise Refused(130, "modified_begin, modified_end")
    return begin, end


def page(biz: Doc, rows: Iterable[Doc], *, most: int) -> Doc:
    """
    Return the asked page of *rows*, at most *most* a page.

    Raises:
        Refused: The page is larger, or is none.
    """
    size, index = int(biz.get("page_size", 30)), int(biz.get("page_index", 1))
    if not 1 <= size <= most or index < 1:
        raise Refused(130, "page_size, page_index")
    found = list(rows)
    pages = -(-len(found) // size)
    return {
        "orders": found[(index - 1) * size : index * size],
        "page_index": index,
        "page_size": size,
        "data_count": len(found),
        "page_count": pages,
        "has_next": index < pages,
    }
