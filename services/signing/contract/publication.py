"""Bodies and answers about what may be published: clauses, sales copy, findings, rules."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared.web import Body, Text, View

WrittenText = Annotated[
    str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")
]
"""A text exactly as it was written, spaces included: findings count its characters."""

ShortTitle = Annotated[str, StringConstraints(max_length=100, pattern=r"^[^\x00]*$")]

Severity = Literal["blocking", "advice"]


class NewClause(Body):
    """A clause of the merchant's own."""

    title: ShortTitle = ""
    text: WrittenText


class ClauseView(View):
    """A clause of the merchant's own."""

    title: str
    text: str


class NewSalesText(Body):
    """What the merchant says of the plan where it sells."""

    kind: Literal["poster", "script", "page"]
    text: WrittenText


class SalesTextView(View):
    """What the merchant says of the plan where it sells."""

    kind: str
    text: str


class NewTextCheck(Body):
    """A text that should be examined; *plan_kind* leaves out the rules about other kinds."""

    place: Literal["clause", "copy"]
    text: WrittenText
    plan_kind: (
        Literal["monthly_food", "medical", "premium_goods", "multi_pet", "service"] | None
    ) = None


class NewOverride(Body):
    """A compliance officer lets a finding pass."""

    finding_id: UUID
    reason: Text


class OverrideView(View):
    """Who let a finding pass, when and why."""

    reason: str
    actor: str
    overridden_at: datetime


class FindingView(View):
    """
    A phrase or figure that a rule is against.

    *start* and *end* count characters of the text at *pointer*; both are 0 for a figure.
    A *firm* finding cannot be overridden.
    """

    finding_id: UUID
    rule_id: str
    severity: Severity
    firm: bool
    pointer: str
    start: int
    end: int
    phrase: str
    why: str
    source: str
    safe: str
    override: OverrideView | None = None


class FindingsView(View):
    """Everything that was found; *blocking* of it keep a plan from being published."""

    blocking: Annotated[int, Field(description="Blocking findings that nobody overrode.")]
    findings: list[FindingView]


class RuleView(View):
    """One rule; *places* is empty for a rule about figures, *kinds* if it is about all plans."""

    rule_id: str
    severity: Severity
    firm: bool
    places: list[str]
    kinds: list[str]
    why: str
    source: str
    safe: str


class RulesView(View):
    """Every rule in force."""

    rules: list[RuleView]


class ScriptView(View):
    """An accepted wording for a poster or a talk; *replaces* are the rules it keeps."""

    script_id: str
    use: Literal["poster", "script"]
    topic: str
    text: str
    source: str
    replaces: list[str]


class ScriptsView(View):
    """Every accepted wording."""

    scripts: list[ScriptView]
