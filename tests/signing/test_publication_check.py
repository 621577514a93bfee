"""Clauses, sales copy and figures of a plan: what is found, where, and what passes untouched."""

import re
from dataclasses import replace

import pytest

from deploy.bench.signing_figure import _PLAN as BENCH_PLAN
from deploy.chaos.cast import PLAN as CHAOS_PLAN
from deploy.demo.shop import PLANS
from services.signing.contract import StageBundle
from services.signing.contract.api import NewPlan
from services.signing.domain.errors import PublicationBlocked
from services.signing.domain.folding import SIMPLIFIED, CharactersInvalid, read_characters
from services.signing.domain.plan import Clause, LegalType, PlanKind, PriceLine, SalesText
from services.signing.domain.publication_check import (
    Passage,
    check_plan,
    check_text,
    described,
    require_publishable,
)
from services.signing.domain.rule_book import RULES, Place, RulesInvalid, read_rules
from services.signing.routes.drafts import draft_of
from shared.ids import derived_id
from tests.support import gateway, signing_builders
from tests.support.signing_plans import a_plan
from tests.support.tables import yaml_cases

UNFAIR = yaml_cases(
    "unfair_clauses.yaml", needed=("name", "severity", "bad", "source", "safe"), count=28
)
SALES = yaml_cases("sales_phrases.yaml", needed=("name", "severity", "bad", "safe"), count=10)
ACCEPTED = yaml_cases("accepted_wordings.yaml", needed=("name", "place", "text"), count=20)
OTHERS = yaml_cases(
    "other_findings.yaml", needed=("name", "place", "text", "rules"), optional=("kind",), count=23
)
ITEM = StageBundle.model_validate(
    {"stage": "adult", "items": [{"sku": "FOOD", "quantity": 1, "name": "成猫粮"}]}
)
CARD = PriceLine("成猫粮", 9900, 8900)
TRADITIONAL = {simple: hard for hard, simple in SIMPLIFIED.items()}


def found(text, place=Place.CLAUSE, kind=None):
    return check_text(Passage("#/text", place, text), kind=kind)


def ids(findings):
    return [one.rule.id for one in findings]


def place_of(case):
    return Place.COPY if case["name"].startswith("AD") else Place.CLAUSE


def full_width(text):
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


@pytest.mark.parametrize("case", [*UNFAIR, *SALES], ids=lambda case: case["name"])
def test_every_bad_phrase_is_found_with_its_place_and_its_rule(case):
    ours = [one for one in found(case["bad"], place_of(case)) if one.rule.id == case["name"]]

    assert ours
    for one in ours:
        assert case["bad"][one.start : one.end] == one.phrase != ""
        assert one.rule.severity == case["severity"]
        assert one.rule.safe == case["safe"]
        assert one.rule.source == case.get("source", one.rule.source)


@pytest.mark.parametrize("case", [*UNFAIR, *SALES], ids=lambda case: case["name"])
def test_a_bad_phrase_does_not_hide(case):
    bad = case["bad"]
    for disguised in (
        "".join(TRADITIONAL.get(c, c) for c in bad),
        full_width(bad),
        " ".join(bad),
        "\u3000".join(bad),
        "\u200b".join(bad),
        "·".join(bad),
        f"好的。第三条、{bad}；其余照旧。",
    ):
        findings = found(disguised, place_of(case))
        assert case["name"] in ids(findings), disguised
        for one in findings:
            assert disguised[one.start : one.end] == one.phrase


@pytest.mark.parametrize("case", [*UNFAIR, *SALES], ids=lambda case: case["name"])
def test_every_accepted_wording_passes_untouched(case):
    for place in Place:
        assert found(case["safe"], place) == []
        assert found("".join(TRADITIONAL.get(c, c) for c in case["safe"]), place) == []


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case["name"])
def test_what_is_fair_is_left_alone(case):
    assert found(case["text"], Place(case["place"])) == []


@pytest.mark.parametrize("case", OTHERS, ids=lambda case: case["name"])
def test_phrases_of_the_business_and_evasions_are_found(case):
    kind = PlanKind(case["kind"]) if "kind" in case else None
    assert ids(found(case["text"], Place(case["place"]), kind)) == case["rules"]


def test_every_rule_that_was_not_in_a_table_has_a_case():
    tabled = {case["name"] for case in (*UNFAIR, *SALES)}
    tabled |= {one for case in OTHERS for one in case["rules"]}

    assert {rule.id for rule in RULES.rule} == tabled


def test_standard_scripts_and_safe_wordings_pass_every_rule():
    for text in (*(one.text for one in RULES.script), *(one.safe for one in RULES.rule)):
        assert [found(text, place) for place in Place] == [[], []], text


def test_every_character_of_the_patterns_is_known_in_its_traditional_form():
    """What big5 cannot write is simplified only: its traditional form must lead to it."""
    texts = [rule.pattern.pattern for rule in RULES.rule]
    texts += [rule.unless.pattern for rule in RULES.rule if rule.unless]
    used = set(re.findall(r"[\u4e00-\u9fff]", "".join(texts)))
    simplified = {c for c in used if not c.encode("big5", "ignore")}

    assert simplified <= set(SIMPLIFIED.values())
    assert {"后", "余", "征", "于"} <= set(SIMPLIFIED.values())


def test_medical_plans_may_name_a_treatment_and_others_may_not():
    assert ids(found("骨折治疗分期", Place.COPY, PlanKind.MEDICAL)) == []
    assert ids(found("骨折治疗分期", Place.COPY, PlanKind.MONTHLY_FOOD)) == ["AD04"]


UNUSUAL = {"成猫三月付": ["PT_TERM_USUAL"], "宠物钱包月存": ["PT_MONTHLY_USUAL"]}
"""The short plan of the chaos runs, and the demo's wallet of 99 yuan a month."""

BROKEN = (
    "[[rule]]\nid = 'X1'",
    "[[figures]]\nid = 'X1'",
    "[[script]]\nid='S1'\nuse='shout'\ntopic='t'\ntext='x'\nsource='s'\nreplaces=['UT01']",
    "[[script]]\nid='S1'\nuse='script'\ntopic='t'\ntext='x'\nsource='s'\nreplaces=['UT99']",
)
ROW = (
    "[[rule]]\nid='{id}'\nseverity='{severity}'\nplaces=['clause']\npattern='{pattern}'\n"
    "source='s'\nwhy='w'\nsafe='s'\n"
)


def test_a_table_is_read_strictly():
    good = ROW.format(id="X1", severity="advice", pattern="a")

    assert ids(check_text(Passage("#", Place.CLAUSE, "xa"), book=read_rules([good]))) == ["X1"]
    for document in (
        *BROKEN,
        good + "colour='red'\n",
        good * 2,
        ROW.format(id="X1", severity="fatal", pattern="a"),
        ROW.format(id="X1", severity="advice", pattern="("),
        ROW.format(id="x 1", severity="advice", pattern="a"),
    ):
        with pytest.raises(RulesInvalid):
            read_rules([document])
    for pairs in ("pairs='後后 後後'", "pairs='後'", "pear='後后'", "pairs='後后 后厚'"):
        with pytest.raises(CharactersInvalid):
            read_characters(pairs)


def test_every_text_of_a_plan_is_examined():
    plan = a_plan(
        name="0元领养",
        gifts="最终解释权归本店",
        use_of_money="根治皮肤病",
        clauses=[Clause("一", "按约定"), Clause("二", "概不退款")],
        sales_copy=[SalesText("poster", "每月300元×12期=3600元"), SalesText("script", "包健康")],
        price_card=[PriceLine("顶级猫粮", 2, 1)],
    )

    findings = check_plan(plan)

    assert [(one.pointer, one.rule.id, one.phrase) for one in findings] == [
        ("#/clauses/1/text", "UT01", "概不退款"),
        ("#/name", "AD01", "0元领养"),
        ("#/use_of_money", "AD04", "根治"),
        ("#/gifts", "UT02", "最终解释权"),
        ("#/sales_copy/1/text", "AD05", "包健康"),
        ("#/price_card/0/name", "AD03", "顶级"),
    ]
    assert findings == check_plan(plan)
    assert len({one.finding_id for one in findings}) == len(findings)
    assert {one.finding_id for one in check_plan(replace(plan, version=2))}.isdisjoint(
        one.finding_id for one in findings
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"bundles": [ITEM]}, [("PT_PRICE_CARD", "#/bundles/0/items/0")]),
        ({"bundles": [ITEM], "price_card": [CARD]}, []),
        (
            {"price_card": [PriceLine("粮", 0, 0)]},
            [("PT_PRICE_CARD", "#/price_card/0/list_price_fen")],
        ),
        (
            {"price_card": [PriceLine("粮", 1, 2)]},
            [("PT_INFLATED", "#/price_card/0/deal_price_fen")],
        ),
        ({"cash_price_fen": 500_000}, [("CR_CAP", "#/total_fen")]),
        ({"cash_price_fen": 595_000, "gifts": "全程免息"}, [("CR_ZERO", "#/gifts")]),
        ({"gifts": "全程免息"}, []),
        ({"periods": 5}, [("PT_TERM_USUAL", "#/periods"), ("PT_MONTHLY_USUAL", "#/monthly_fen")]),
        ({"periods": 6, "total_fen": 90_000}, []),
        ({"periods": 6, "total_fen": 89_994}, [("PT_MONTHLY_USUAL", "#/monthly_fen")]),
        ({"periods": 3, "kind": PlanKind.PREMIUM_GOODS}, []),
        (
            {"legal_type": LegalType.INSTALMENT_SALE, "cash_price_fen": 550_000},
            [("CR_CAP", "#/total_fen")],
        ),
    ],
)
def test_figures_are_examined(changes, expected):
    assert [(one.rule.id, one.pointer) for one in check_plan(a_plan(**changes))] == expected


def test_only_what_blocks_and_stands_keeps_a_plan_back():
    advised = check_plan(a_plan(clauses=[Clause("", "终身9折")]))
    blocked = check_plan(a_plan(clauses=[Clause("", "概不退款。终身9折")]))

    require_publishable(advised, overridden=[])
    require_publishable(blocked, overridden=[one.finding_id for one in blocked if one.blocks])
    with pytest.raises(PublicationBlocked) as refused:
        require_publishable(blocked, overridden=[])
    assert refused.value.facts["blocking"] == 1
    assert refused.value.facts["findings"] == [described(one) for one in blocked]
    assert len(blocked) == 2


@pytest.mark.parametrize(
    "body",
    [
        *(plan.as_body() for plan in (*PLANS, CHAOS_PLAN)),
        BENCH_PLAN,
        gateway.plan_body(),
        signing_builders.plan_body(),
    ],
    ids=lambda body: body["name"],
)
def test_our_own_plans_have_nothing_against_them(body):
    """Advice is true where a plan is unusually short or cheap; nothing blocks."""
    merchant_id = derived_id("merchant")
    plan = draft_of(NewPlan.model_validate(body), merchant_id=merchant_id, plan_id=merchant_id)

    assert ids(check_plan(plan)) == UNUSUAL.get(plan.name, [])
    assert len(plan.price_card) or not plan.bundles
