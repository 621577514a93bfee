"""The rules of publication as data: read strictly, once, from the tables beside this module."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from importlib import resources
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.signing.domain.plan import PlanKind

_TABLES: Final = ("clauses.toml", "sales_copy.toml", "figures.toml", "scripts.toml")

Said = Annotated[str, Field(min_length=1)]
RuleId = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{1,30}$")]


class RulesInvalid(ValueError):
    """A table of rules has an unknown key, lacks one, or names a rule twice."""


class Severity(StrEnum):
    """What a finding does: it keeps a plan from being published, or is a word of advice."""

    BLOCKING = "blocking"
    ADVICE = "advice"


class Place(StrEnum):
    """Where a text stands: in the contract, or where it sells."""

    CLAUSE = "clause"
    COPY = "copy"


class Check(StrEnum):
    """What can be wrong with a plan's figures; each is one question of publication_check."""

    PRICE_CARD_INCOMPLETE = "price_card_incomplete"
    ABOVE_ORDINARY_PRICE = "above_ordinary_price"
    RATE_ABOVE_CAP = "rate_above_cap"
    INTEREST_FREE_WITH_INTEREST = "interest_free_with_interest"
    PERIODS_UNUSUAL = "periods_unusual"
    MONTHLY_UNUSUAL = "monthly_unusual"


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rule(_Row):
    """
    What every rule says: who wants it, why, and what may be said or done instead.

    ``kinds`` are the kinds of plan it is about, all if empty; a ``firm`` one cannot be
    overridden.
    """

    id: RuleId
    severity: Severity
    source: Said
    why: Said
    safe: Said
    kinds: tuple[PlanKind, ...] = ()
    firm: bool = False

    def is_about(self, kind: PlanKind | None) -> bool:
        """Return whether the rule is about plans of *kind*; None asks for any."""
        return not self.kinds or kind is None or kind in self.kinds


class TextRule(Rule):
    """A phrase that may not stand in *places*; ``unless`` in the same sentence allows it."""

    places: Annotated[tuple[Place, ...], Field(min_length=1)]
    pattern: re.Pattern[str]
    unless: re.Pattern[str] | None = None


class FigureRule(Rule):
    """A question about a plan's figures; *low* and *high* in the unit of the figure."""

    check: Check
    low: int = 0
    high: int = 0


class Script(_Row):
    """An accepted wording, to be used where a rule of ``replaces`` was found."""

    id: RuleId
    use: Annotated[str, Field(pattern=r"^(script|poster)$")]
    topic: Said
    text: Said
    source: Said
    replaces: Annotated[tuple[RuleId, ...], Field(min_length=1)]


class RuleBook(_Row):
    """All rules and accepted wordings."""

    rule: tuple[TextRule, ...] = ()
    figure: tuple[FigureRule, ...] = ()
    script: tuple[Script, ...] = ()

    def named(self, rule_id: str) -> Rule:
        """Return the rule called *rule_id*, which exists."""
        return next(rule for rule in (*self.rule, *self.figure) if rule.id == rule_id)


def read_rules(documents: Sequence[str]) -> RuleBook:
    """
    Return the rules of TOML *documents*.

    Raises:
        RulesInvalid: A key is unknown or missing, a value of the wrong form, an id stands
            twice, or a script replaces a rule that does not exist.
    """
    tables: dict[str, list[Mapping[str, Any]]] = {}
    for document in documents:
        for name, rows in tomllib.loads(document).items():
            tables.setdefault(name, []).extend(rows)
    try:
        book = RuleBook.model_validate(tables)
    except ValidationError as error:
        raise RulesInvalid(str(error)) from error
    ids = [rule.id for rule in (*book.rule, *book.figure)]
    scripts = [script.id for script in book.script]
    strange = {one for script in book.script for one in script.replaces} - set(ids)
    if strange or len({*ids, *scripts}) != len(ids) + len(scripts):
        raise RulesInvalid(f"An id stands twice, or is unknown: {sorted(strange)}")
    return book


def _read(name: str) -> str:
    tables = resources.files(__package__) / "rule_tables"
    return (tables / name).read_text(encoding="utf-8")


RULES: Final = read_rules([_read(name) for name in _TABLES])
"""The rules in force."""
