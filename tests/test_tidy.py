"""Rules that no linter knows."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
CODE = sorted(
    path for top in ("shared", "services", "deploy") for path in (ROOT / top).rglob("*.py")
)
ALL = [*CODE, *sorted((ROOT / "tests").rglob("*.py"))]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_a_file_can_be_opened_without_fear():
    lines = {name_of(p): len(p.read_text(encoding="utf-8").splitlines()) for p in ALL}

    assert {name: count for name, count in lines.items() if count > 500} == {}


def test_a_function_fits_the_eye():
    long = [
        f"{name_of(path)}:{function.name}"
        for path in ALL
        for function in functions(path)
        if (function.end_lineno or 0) - function.lineno >= 70
    ]

    assert long == []


def test_only_the_clock_module_reads_the_clock_in_services_and_plumbing():
    """Durations may be measured; moments come from shared/clock.py.  Tools may stamp files."""
    reads = re.compile(r"datetime\.now\(|date\.today\(|utcnow\(|time\.time\(")
    ruled = [path for path in CODE if not path.is_relative_to(ROOT / "deploy")]
    readers = [name_of(path) for path in ruled if reads.search(path.read_text(encoding="utf-8"))]

    assert readers == ["shared/clock.py"]


def test_a_module_opens_with_one_sentence_saying_what_it_is():
    texts = {path: path.read_text(encoding="utf-8") for path in ALL}
    silent = [
        name_of(path)
        for path, text in texts.items()
        if text.strip() and not ast.get_docstring(ast.parse(text))
    ]

    assert silent == []


def test_subscribers_are_made_in_one_place():
    product = [p for p in CODE if not p.is_relative_to(ROOT / "deploy/bench")]
    found = [name_of(p) for p in product if re.search(r"broker\.subscriber\(", p.read_text())]

    assert found == ["shared/bus.py"]


def test_sql_stands_in_stores_only():
    statement = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM)\s+\w", re.MULTILINE)
    services = [path for path in CODE if path.is_relative_to(ROOT / "services")]
    outside = [
        name_of(path)
        for path in services
        if "store" not in path.parts
        and statement.search(
            re.sub(r'"""(?:(?!""").)*?"""', _keep_sql, path.read_text(), flags=re.DOTALL)
        )
    ]

    assert outside == []


def _keep_sql(found: re.Match[str]) -> str:
    """Leave out docstrings, which are prose; keep texts that begin like a statement."""
    text = found[0][3:-3].strip()
    return text if re.match(r"(SELECT|INSERT|UPDATE|DELETE|WITH)\b", text) else ""


def test_words_we_do_not_use():
    """One thing, one word: see docs/glossary.md."""
    bad = re.compile(r"\b(utils|helpers|managers?)\.py$", re.IGNORECASE)

    assert [name_of(path) for path in ALL if bad.search(path.name)] == []
