"""An address as a QR code, to be shown on a screen or printed."""

import io
from typing import Final

import segno

ERROR_LEVEL: Final = "m"
"""15 % of the code may be dirty or torn; printed signs are."""

QUIET_ZONE: Final = 4
"""Blank modules around the code (ISO/IEC 18004)."""


def qr_svg(address: str) -> bytes:
    """Return *address* as an SVG document that scales to any size."""
    out = io.BytesIO()
    _code(address).save(out, kind="svg", border=QUIET_ZONE, light="#fff", omitsize=True)
    return out.getvalue()


def qr_png(address: str, *, module_px: int) -> bytes:
    """Return *address* as a PNG image; each module is *module_px* pixels wide."""
    out = io.BytesIO()
    _code(address).save(out, kind="png", border=QUIET_ZONE, light="#fff", scale=module_px)
    return out.getvalue()


def _code(address: str) -> segno.QRCode:
    return segno.make_qr(address, error=ERROR_LEVEL, boost_error=False)
