"""A page for people out of an OpenAPI document; no script, nothing loaded from elsewhere."""

import json
from html import escape
from typing import Any, Final

STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
h2{margin-top:2.5rem;border-bottom:1px solid #ddd}summary{cursor:pointer;padding:.3rem 0}
code,pre{font:13px ui-monospace,monospace;background:#f6f6f4;border-radius:3px}
pre{padding:.6rem;overflow:auto}code{padding:.1rem .3rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.2rem .6rem .2rem 0;
vertical-align:top;border-bottom:1px solid #eee}
.m{display:inline-block;width:4.5rem;font-weight:600}
"""


def render(document: dict[str, Any]) -> str:
    """Return the page as HTML."""
    info = document["info"]
    operations = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    tags = dict.fromkeys(tag for _, _, operation in operations for tag in operation["tags"])
    sections = [
        f"<h2>{escape(tag)}</h2>"
        + "".join(_operation(*one) for one in operations if tag in one[2]["tags"])
        for tag in tags
    ]
    schemas = "".join(
        f'<details id="{escape(name)}"><summary>{escape(name)}</summary>{_json(schema)}</details>'
        for name, schema in document["components"]["schemas"].items()
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(info["title"])}</title>'
        f"<style>{STYLE}</style><h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f"<p>{escape(info['description'])}</p>"
        f'<p>Machine-readable: <a href="openapi.json">openapi.json</a></p>'
        f"{''.join(sections)}<h2>Schemas</h2>{schemas}</html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    needs = [scope for need in operation["security"] for scope in need["key"]]
    key = f"<p>Scope <code>{escape(needs[0])}</code></p>" if needs else "<p>No key.</p>"
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return (
        f'<details><summary><span class="m">{method}</span><code>{escape(path)}</code> '
        f"{escape(operation['summary'])}</summary>"
        f"<p>{escape(operation.get('description', ''))}</p>{key}"
        f"{_parameters(operation.get('parameters', []))}"
        f"{_body(body)}"
        f"{_responses(operation['responses'])}</details>"
    )


def _body(body: dict[str, Any] | None) -> str:
    return "" if body is None else f"<h4>Body</h4>{_json(body['schema'])}"


def _parameters(parameters: list[dict[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(one['name'])}</code><td>{one['in']}"
        f"<td>{'required' if one['required'] else ''}"
        f"<td>{escape(one.get('description') or one['schema'].get('description', ''))}"
        for one in parameters
    )
    return f"<h4>Parameters</h4><table>{rows}</table>" if rows else ""


def _responses(responses: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{status}<td>{escape(answer['description'])}<td>{_answer_schema(answer)}"
        for status, answer in responses.items()
    )
    return f"<h4>Answers</h4><table>{rows}</table>"


def _answer_schema(answer: dict[str, Any]) -> str:
    schema = answer.get("content", {}).get("application/json", {}).get("schema")
    return _json(schema) if schema else ""


def _json(value: object) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"
