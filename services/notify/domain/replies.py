"""What a customer's reply to an SMS means."""

import unicodedata
from typing import Final

STOP_WORDS: Final = frozenset({"R", "T", "TD", "N", "QX", "退订", "拒收"})
"""Words by which commercial SMS are refused (MIIT rule of 2015; Aliyun, Tencent)."""


def wants_no_more(content: str) -> bool:
    """Return whether *content* refuses further marketing; width, case and edges do not matter."""
    plain = unicodedata.normalize("NFKC", content).strip().strip("。.!！").upper()
    return plain in STOP_WORDS
