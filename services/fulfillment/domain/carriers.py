"""Carriers: one code each, whatever the warehouse and the trackers call them."""

from collections.abc import Mapping
from typing import Final

NAMES: Final[Mapping[str, str]] = {
    "sf": "顺丰",
    "zto": "中通",
    "yto": "圆通",
    "sto": "申通",
    "yunda": "韵达",
    "jd": "京东",
    "ems": "EMS",
    "china_post": "邮政",
    "jtexpress": "极兔",
    "deppon": "德邦",
}
"""Our code to the word that every spelling of the carrier's name contains."""

NEED_PHONE: Final = frozenset({"sf", "zto"})
"""Carriers that tell a parcel's way only to who knows the receiver's phone."""


def carrier_named(name: str) -> str:
    """Return our code of the carrier called *name*; an unknown name stays as it is."""
    return next((code for code, word in NAMES.items() if word in name), name)
