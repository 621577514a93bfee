"""The agreement as a PDF: Chinese text with an embedded font, key clauses in bold."""

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fpdf import FPDF
from fpdf.enums import TextMode, WrapMode
from fpdf.fonts import TTFFont

from services.signing.contract import SignedInstalment
from services.signing.domain.agreement_text import (
    LINES,
    TEMPLATE_VERSION,
    TITLE,
    Clause,
    Terms,
    clauses,
    written_on,
)
from shared.money import yuan

FONT: Final = Path(__file__).parent / "fonts" / "YuefuSansSC.ttf"

_FAMILY: Final = "yuefu"
_MARGIN_MM: Final = 20
_LINE_MM: Final = 6.0
_BOLD_STROKE_MM: Final = 0.07
_COLUMNS: Final = 3


@dataclass(frozen=True, slots=True)
class Printed:
    """A document's bytes and their SHA-256."""

    pdf: bytes
    sha256: str


async def print_agreement(terms: Terms) -> Printed:
    """Return the document for *terms*; made in a thread, so that the loop stays free."""
    return await asyncio.to_thread(draw, terms)


def draw(terms: Terms) -> Printed:
    """Return the document for *terms*: the same terms give the same bytes."""
    page = _Page(terms)
    page.add_page()
    _title(page, terms)
    for clause in clauses(terms):
        _clause(page, clause)
    _schedule(page, terms)
    _signatures(page, terms)
    pdf = bytes(page.output())
    return Printed(pdf, hashlib.sha256(pdf).hexdigest())


class _Page(FPDF):
    def __init__(self, terms: Terms) -> None:
        super().__init__(format="A4")
        self._agreement_no = terms.agreement_no
        self.set_margins(_MARGIN_MM, _MARGIN_MM)
        self.set_auto_page_break(auto=True, margin=_MARGIN_MM)
        self.set_creation_date(terms.written_at)
        self.set_title(f"{TITLE} {terms.agreement_no}")
        self.set_lang("zh-CN")
        self.add_font(_FAMILY, fname=FONT)
        # Our font's outlines have right bounds already: computing them again takes half the time.
        font = self.fonts[_FAMILY]
        assert isinstance(font, TTFFont)
        font.ttfont.recalcBBoxes = False
        self.set_line_width(_BOLD_STROKE_MM)

    def file_id(self) -> str:
        """Name the file after what it holds, so that its bytes follow from the terms."""
        digest = hashlib.sha256(self._agreement_no.encode()).hexdigest()[:32].upper()
        return f"<{digest}><{digest}>"

    def footer(self) -> None:
        """Print the agreement's number and the page below each page."""
        self.set_y(-14)
        self.set_font(_FAMILY, size=8)
        self.cell(0, 6, f"协议编号 {self._agreement_no}  第 {self.page_no()} 页", align="C")

    def write_line(self, text: str, *, size: float, bold: bool = False, align: str = "L") -> None:
        """Write a paragraph over the whole width; bold is drawn with a stroke."""
        self.set_font(_FAMILY, size=size)
        mode = TextMode.FILL_STROKE if bold else TextMode.FILL
        with self.local_context(text_mode=mode, line_width=_BOLD_STROKE_MM):
            self.multi_cell(
                0,
                _LINE_MM * size / 10.5,
                text,
                align=align,
                new_x="LMARGIN",
                new_y="NEXT",
                wrapmode=WrapMode.CHAR,
            )


def _title(page: _Page, terms: Terms) -> None:
    page.write_line(TITLE, size=16, bold=True, align="C")
    note = (
        f"协议编号 {terms.agreement_no}  文本版本 {TEMPLATE_VERSION}  生成时间 {written_on(terms)}"
    )
    page.write_line(note, size=9, align="C")
    page.write_line("加粗条款与您有重大利害关系，请逐条阅读。", size=9, align="C")
    page.ln(2)


def _clause(page: _Page, clause: Clause) -> None:
    page.write_line(clause.title, size=11.5, bold=True)
    for paragraph in clause.paragraphs:
        page.write_line(paragraph, size=10.5, bold=clause.is_key)
    page.ln(1.5)


def _schedule(page: _Page, terms: Terms) -> None:
    page.write_line("附表一：各期扣款日期与金额", size=11.5, bold=True)
    page.set_font(_FAMILY, size=10)
    width = page.epw / _COLUMNS
    for number, one in enumerate(terms.instalments, 1):
        text = f"{_name(one)}  {one.due_on:%Y-%m-%d}  {yuan(one.amount_fen)} 元"
        last = number % _COLUMNS == 0 or number == len(terms.instalments)
        page.cell(
            width,
            _LINE_MM,
            text,
            border=1,
            new_x="LMARGIN" if last else "RIGHT",
            new_y="NEXT" if last else "TOP",
        )
    page.write_line(f"合计 {yuan(terms.plan.payable_fen)} 元", size=10.5, bold=True)
    for one in terms.instalments:
        if len(one.lines) > 1:
            page.write_line(f"{_name(one)}：{_sum(one)}", size=9)
    page.ln(2)
    _substitutes(page, terms)


def _name(one: SignedInstalment) -> str:
    return f"第 {one.seq} 期" if one.seq else "首付款"


def _sum(one: SignedInstalment) -> str:
    """Say how the amount comes about: each line, then what is paid."""
    lines = "，".join(f"{LINES[line.kind]} {yuan(line.amount_fen)} 元" for line in one.lines)
    return f"{lines}；应付 {yuan(one.amount_fen)} 元"


def _substitutes(page: _Page, terms: Terms) -> None:
    lines = [
        f"{item.name or item.sku} 缺货时：{'、'.join(item.substitutes)}"
        for bundle in terms.plan.bundles
        for item in bundle.items
        if item.substitutes
    ]
    if not (terms.substitutes_agreed and lines):
        return
    page.write_line("附表二：替代商品（同价或更低价）", size=11.5, bold=True)
    for line in dict.fromkeys(lines):
        page.write_line(line, size=10)
    page.ln(2)


def _signatures(page: _Page, terms: Terms) -> None:
    page.write_line(f"甲方（电子签章）：{terms.merchant.legal_name}", size=10.5)
    page.write_line(f"乙方（电子签名）：{terms.applicant.name}", size=10.5)
