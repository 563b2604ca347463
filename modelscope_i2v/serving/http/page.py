"""The OpenAPI document as one page of HTML, without scripts and without anything from another host."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.5 }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { font-size: 1.1rem; margin-top: 2.5rem } code, pre { font-family: ui-monospace, monospace }
pre { overflow-x: auto; padding: 1rem; border: 1px solid #8888 } table { border-collapse: collapse }
th, td { text-align: left; vertical-align: top; padding: .2rem 1rem .2rem 0 }
"""


def page(document: Mapping[str, Any]) -> str:
    """The page for an OpenAPI document."""
    title = f'{document["info"]["title"]} {document["info"]["version"]}'
    parts = [part for path, routes in document['paths'].items() for part in _routes(path, routes)]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f'<h1>{escape(title)}</h1><p>For programs: <a href="openapi.json">openapi.json</a></p>{"".join(parts)}'
        '</body></html>'
    )


def _routes(path: str, routes: Mapping[str, Any]) -> Iterator[str]:
    for method, route in routes.items():
        yield f'<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(route.get("description", ""))}</p>'
        rows = [(item['name'], item['schema'], item.get('description', '')) for item in route.get('parameters', ())]
        if rows:
            yield _table(rows)
        content = route.get('requestBody', {}).get('content', {})
        for kind, body in content.items():
            rows = [
                (name, schema, schema.get('description', '')) for name, schema in body['schema']['properties'].items()
            ]
            yield f'<details><summary>Fields of <code>{escape(kind)}</code></summary>{_table(rows)}</details>'
            for name, example in body.get('examples', {}).items():
                yield f'<p>{escape(name)}:</p><pre>{escape(json.dumps(example["value"], indent=2))}</pre>'


def _table(rows: list[tuple[str, Mapping[str, Any], str]]) -> str:
    cells = ''.join(
        f'<tr><th scope="row"><code>{escape(name)}</code></th><td>{escape(_kind(schema))}</td>'
        f'<td>{escape(text)}</td></tr>'
        for name, schema, text in rows
    )
    return f'<table>{cells}</table>'


def _kind(schema: Mapping[str, Any]) -> str:
    if 'enum' in schema:
        return ', '.join(map(str, schema['enum']))
    return str(schema.get('type', ''))
