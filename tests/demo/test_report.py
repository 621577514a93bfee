"""The report's shape, when it is ok, and the story's lines."""

from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest

from deploy.audit import Figures, Finding
from deploy.demo.__main__ import options_of
from deploy.demo.lives import lives
from deploy.demo.report import compose, write
from deploy.demo.story import Happening, tell
from deploy.demo.words import Language

FIGURES = Figures(
    agreements={"active": 2, "completed": 1},
    charges_collected=10,
    failed_attempts=3,
    unknown_resolved=1,
    captured_fen=5000,
    refunded_fen=300,
    double_captures=0,
    credited_fen=5000,
    wallet_refunded_fen=300,
    shipments={"closed": 9},
    notices_required=20,
    notices_proven=20,
    charges_without_proof=0,
    messages_sent=44,
    messages_duplicates=0,
)
AGREED = Finding("rail books", ok=True, detail="10 agree")


def test_the_report_has_exactly_the_promised_shape(tmp_path):
    report = compose(FIGURES, [AGREED], seconds=12.345, months=12)
    write(report, tmp_path / "report.json")

    assert orjson.loads((tmp_path / "report.json").read_bytes()) == {
        "ok": True,
        "seconds": 12.3,
        "months": 12,
        "agreements": {"active": 2, "completed": 1},
        "charges": {"collected": 10, "failed_attempts": 3, "unknown_resolved": 1},
        "rail_books": {"captured_fen": 5000, "refunded_fen": 300, "double_captures": 0},
        "wallet": {"credited_fen": 5000, "refunded_fen": 300},
        "shipments": {"closed": 9},
        "notices": {"required": 20, "proven": 20, "charges_without_proof": 0},
        "messages": {"sent": 44, "duplicates": 0},
        "audit": [{"check": "rail books", "ok": True, "detail": "10 agree"}],
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"captured_fen": 5001},
        {"wallet_refunded_fen": 299},
        {"double_captures": 1},
        {"charges_without_proof": 1},
        {"messages_duplicates": 1},
    ],
)
def test_any_figure_that_disagrees_is_not_ok(wrong):
    assert not compose(replace(FIGURES, **wrong), [AGREED], seconds=1, months=12)["ok"]


def test_any_check_that_fails_is_not_ok():
    failed = Finding("rail books", ok=False, detail="1 of 10 differ")

    assert not compose(FIGURES, [AGREED, failed], seconds=1, months=12)["ok"]


def at(month: int, day: int) -> datetime:
    return datetime(2027, month, day, 2, 0, tzinfo=UTC)


def a_collection(seq: int, month: int, source: str = "automatic") -> Happening:
    facts = {"seq": seq, "amount_fen": 16800, "source": source}
    return Happening(at(month, 10), "billing.charge.collected", facts)


def test_usual_periods_are_one_line_and_unusual_ones_their_own():
    failure = {"seq": 3, "attempt_no": 1, "failure_class": "retry_later"}
    happenings = [
        a_collection(1, 1),
        a_collection(2, 2),
        Happening(at(3, 10), "billing.charge.failed", failure),
        a_collection(3, 3),
    ]

    told = tell(Language.EN, lives()[0], happenings, refused="")

    assert told[1:] == [
        "    2027-01-10  periods 1–2 paid in time, ¥168.00 each, the last on 2027-02-10",
        "    2027-03-10  period 3: try 1 failed (retry_later)",
        "    2027-03-10  period 3 paid, ¥168.00",
    ]


@pytest.mark.parametrize("language", list(Language))
def test_every_life_has_a_title_in_both_languages(language):
    for life in lives():
        assert len(tell(language, life, [], refused="x")[0].strip()) > 10


def test_language_and_victim_come_from_flags_or_environment():
    chosen = options_of(["--lang", "en", "--kill", "billing", "--customers", "30"])

    assert (chosen.language, chosen.kill, chosen.customers) == (Language.EN, "billing", 30)


@pytest.mark.parametrize(
    "arguments", [["--kill", "nobody"], ["--customers", "3"], ["--months", "0"], ["--lang", "fr"]]
)
def test_options_that_make_no_sense_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as refused:
        options_of(arguments)

    assert refused.value.code == 2
    assert "error" in capsys.readouterr().err
