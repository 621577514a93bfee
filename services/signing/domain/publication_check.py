"""What is wrong with a plan before it is published: its clauses, its sales copy, its figures."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, assert_never
from uuid import UUID

from services.signing.domain.annual_rate import rate_of
from services.signing.domain.errors import (
    OverduePenaltyAboveCap,
    OverduePenaltyForbidden,
    PublicationBlocked,
    RateAboveCap,
)
from services.signing.domain.folding import Sentence, sentences
from services.signing.domain.plan import PlanKind, PlanVersion
from services.signing.domain.rule_book import (
    RULES,
    Check,
    FigureRule,
    Place,
    Rule,
    RuleBook,
    Severity,
    TextRule,
)
from shared.ids import derived_id

_INTEREST_FREE: Final = ("免息", "0息", "零利息", "无利息")


@dataclass(frozen=True, slots=True)
class Passage:
    """A text to be examined; ``pointer`` tells where it stands (JSON Pointer)."""

    pointer: str
    place: Place
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """
    A phrase or figure that a rule is against.

    ``start`` and ``end`` count characters of the text at ``pointer`` as it was written; a
    figure has none, and both are 0.  ``finding_id`` follows from plan, rule and place: the
    same draft examined again has the same findings.
    """

    finding_id: UUID
    rule: Rule
    pointer: str
    start: int
    end: int
    phrase: str

    @property
    def blocks(self) -> bool:
        """Whether it keeps the plan from being published."""
        return self.rule.severity is Severity.BLOCKING


def check_text(
    passage: Passage, *, about: object = "", kind: PlanKind | None = None, book: RuleBook = RULES
) -> list[Finding]:
    """Return what the rules find in a text, in its order; *about* is whose text it is."""
    found = [
        _finding(rule, passage.pointer, about, span=span, text=passage.text)
        for sentence in sentences(passage.text)
        for rule in book.rule
        if passage.place in rule.places and rule.is_about(kind)
        for span in _phrases(rule, sentence)
    ]
    return sorted(found, key=lambda one: (one.start, one.end, one.rule.id))


def check_plan(plan: PlanVersion, *, book: RuleBook = RULES) -> list[Finding]:
    """
    Return everything that the rules find in *plan*: texts first, then figures.

    Source: business document on the mini-program's modules, part 4 (unfair clauses), and on
    instalments in shops, part 2.3 (banned promises).
    """
    about = (plan.plan_id, plan.version)
    found = [
        finding
        for passage in passages(plan)
        for finding in check_text(passage, about=about, kind=plan.kind, book=book)
    ]
    for rule in book.figure:
        if rule.is_about(plan.kind):
            found += [
                _finding(rule, pointer, about, phrase=phrase)
                for pointer, phrase in _wrong_figures(rule, plan)
            ]
    return found


def passages(plan: PlanVersion) -> Iterator[Passage]:
    """Return every text of *plan* that a customer reads."""
    for number, clause in enumerate(plan.clauses):
        yield Passage(f"#/clauses/{number}/title", Place.CLAUSE, clause.title)
        yield Passage(f"#/clauses/{number}/text", Place.CLAUSE, clause.text)
    yield Passage("#/name", Place.COPY, plan.name)
    yield Passage("#/use_of_money", Place.COPY, plan.use_of_money)
    yield Passage("#/gifts", Place.COPY, plan.gifts)
    for number, sold in enumerate(plan.sales_copy):
        yield Passage(f"#/sales_copy/{number}/text", Place.COPY, sold.text)
    for number, line in enumerate(plan.price_card):
        yield Passage(f"#/price_card/{number}/name", Place.COPY, line.name)


def require_publishable(findings: Iterable[Finding], *, overridden: Sequence[UUID]) -> None:
    """
    Refuse publication while a blocking finding is not overridden.

    Raises:
        PublicationBlocked: With every finding that stands, advice included.
    """
    standing = [one for one in findings if one.finding_id not in overridden]
    blocking = sum(one.blocks for one in standing)
    if blocking:
        raise PublicationBlocked(
            "Something in the plan may not be published.",
            blocking=blocking,
            findings=[described(one) for one in standing],
        )


def described(finding: Finding) -> dict[str, object]:
    """Return *finding* as plain data, for those who must change the text."""
    return {
        "finding_id": str(finding.finding_id),
        "rule_id": finding.rule.id,
        "severity": finding.rule.severity.value,
        "firm": finding.rule.firm,
        "pointer": finding.pointer,
        "start": finding.start,
        "end": finding.end,
        "phrase": finding.phrase,
        "why": finding.rule.why,
        "source": finding.rule.source,
        "safe": finding.rule.safe,
    }


def _phrases(rule: TextRule, sentence: Sentence) -> Iterator[tuple[int, int]]:
    if rule.unless is not None and rule.unless.search(sentence.text):
        return
    for match in rule.pattern.finditer(sentence.text):
        yield sentence.span(match.start(), match.end())


def _finding(
    rule: Rule,
    pointer: str,
    about: object,
    *,
    span: tuple[int, int] = (0, 0),
    text: str = "",
    phrase: str = "",
) -> Finding:
    start, end = span
    phrase = phrase or text[start:end]
    finding_id = derived_id("finding", about, rule.id, pointer, start, phrase)
    return Finding(finding_id, rule, pointer, start, end, phrase)


def _wrong_figures(rule: FigureRule, plan: PlanVersion) -> Iterator[tuple[str, str]]:
    """Return where a figure is wrong, and what stands there."""
    match rule.check:
        case Check.PRICE_CARD_INCOMPLETE:
            return _unpriced(plan)
        case Check.ABOVE_ORDINARY_PRICE:
            return _inflated(plan)
        case Check.RATE_ABOVE_CAP:
            return _too_dear(plan)
        case Check.INTEREST_FREE_WITH_INTEREST:
            return _called_free(plan)
        case Check.PERIODS_UNUSUAL:
            return _outside(rule, "#/periods", plan.periods)
        case Check.MONTHLY_UNUSUAL:
            return _outside(rule, "#/monthly_fen", plan.monthly_fen)
        case _:
            assert_never(rule.check)


def _outside(rule: FigureRule, pointer: str, figure: int) -> Iterator[tuple[str, str]]:
    if not rule.low <= figure <= rule.high:
        yield pointer, str(figure)


def _inflated(plan: PlanVersion) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(plan.price_card):
        if line.deal_price_fen > line.list_price_fen:
            yield f"#/price_card/{number}/deal_price_fen", line.name


def _unpriced(plan: PlanVersion) -> Iterator[tuple[str, str]]:
    """Return the items of the parcels that the price card does not name, or not with a price."""
    priced = {line.name for line in plan.price_card if line.list_price_fen > 0}
    for number, line in enumerate(plan.price_card):
        if line.list_price_fen <= 0:
            yield f"#/price_card/{number}/list_price_fen", line.name
    for place, bundle in enumerate(plan.bundles):
        for number, item in enumerate(bundle.items):
            if (item.name or item.sku) not in priced:
                yield f"#/bundles/{place}/items/{number}", item.name or item.sku


def _too_dear(plan: PlanVersion) -> Iterator[tuple[str, str]]:
    try:
        rate_of(plan)
    except RateAboveCap as error:
        yield "#/total_fen", str(error.facts["rate_percent"])
    except OverduePenaltyAboveCap as error:
        yield "#/overdue_penalty", str(error.facts["penalty_percent"])
    except OverduePenaltyForbidden:
        yield "#/overdue_penalty", plan.legal_type.value


def _called_free(plan: PlanVersion) -> Iterator[tuple[str, str]]:
    """Return where all months are called free of interest; a first month so called is an offer."""
    if plan.total_fen == plan.cash_price_fen:
        return
    for passage in passages(plan):
        for sentence in sentences(passage.text):
            word = next((word for word in _INTEREST_FREE if word in sentence.text), "")
            if word and not plan.offer.interest_free_months:
                yield passage.pointer, word
