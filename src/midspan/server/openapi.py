"""`/v1/openapi.json`: OpenAPI 3.1, made from the table of endpoints and the types that are served."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from midspan.core import operation as core
from midspan.server.answers import json_response
from midspan.server.documents import Node, ProblemDocument
from midspan.server.endpoint import JSON, Answer, Endpoint
from midspan.server.parameters import PATH_PARAMETERS, Parameter

PATH = "/v1/openapi.json"
PROBLEM = "application/problem+json"
REFUSALS = (400, 401, 403, 404, 414, 421, 429, 500)
"""Any request may be answered with these: for its parameters, its token, its origin, its host, or our own fault."""
BODY_REFUSALS = (408, 413, 415, 422)
SHOWN_WHOLE = (
    core.Operation,
    Node,
    core.Event,
    core.Cancel,
    core.ItemCounts,
    core.Tokens,
    core.ErrorInfo,
    core.Estimate,
    core.Owner,
)
"""Types of which every field is always there, and whose times are shown as RFC 3339."""
INTRODUCTION = (
    "LLM operations while they are still running. Times are RFC 3339 in UTC, durations are in seconds, and what is not "
    "known is null. Errors are problem documents (RFC 9457)."
)

Schema = dict[str, Any]


def openapi_endpoint(endpoints: Sequence[Endpoint]) -> Endpoint:
    """The row that serves the document of `endpoints`, itself among them."""
    made: Schema = {}

    def serve(request: Request) -> Response:
        if not made:
            made.update(document(version("midspan"), [*endpoints, own]))
        prefix: str = request.scope.get("root_path", "")
        return json_response({**made, "servers": [{"url": prefix or "/"}]})

    own = Endpoint(
        method="GET",
        path=PATH,
        summary="This document",
        call=serve,
        answers={200: Answer("OpenAPI 3.1", dict[str, Any])},
    )
    return own


def document(release: str, endpoints: Iterable[Endpoint]) -> Schema:
    """The OpenAPI document of these rows."""
    rows = list(endpoints)
    schemas, components = _schemas(rows)
    paths: dict[str, Schema] = {}
    for row in rows:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "midspan", "version": release, "description": INTRODUCTION},
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas(rows: Iterable[Endpoint]) -> tuple[Mapping[str, Schema], Schema]:
    """The schema of every type that the rows name, by the type's `repr`, and the components that they refer to."""
    named: dict[str, object] = {repr(ProblemDocument): ProblemDocument}
    for row in rows:
        for kind in (row.body, *(answer.body for answer in row.answers.values())):
            if kind is not None:
                named[repr(kind)] = kind
    found, components = msgspec.json.schema_components(named.values(), ref_template="#/components/schemas/{name}")
    for kind in SHOWN_WHOLE:
        if kind.__name__ in components:
            _show_whole(components[kind.__name__])
    return dict(zip(named, found, strict=True)), components


def _show_whole(schema: Schema) -> None:
    """As `core/wire.py` writes it: nothing is left out, and times are text."""
    properties: dict[str, Schema] = schema["properties"]
    for name, shown in properties.items():
        shown.pop("default", None)
        if name == "at" or name.endswith("_at"):
            properties[name] = _time(nullable="anyOf" in shown)
    if "progress_source" in properties:
        properties["percent_complete"] = {"type": ["number", "null"]}
        properties["trace_url"] = {"type": ["string", "null"], "format": "uri"}
    schema["required"] = list(properties)


def _time(nullable: bool) -> Schema:
    return {"type": ["string", "null"] if nullable else "string", "format": "date-time"}


def _operation(row: Endpoint, schemas: Mapping[str, Schema]) -> Schema:
    declared = (*row.parameters, *_undeclared(row))
    shown: Schema = {
        "operationId": re.sub(r"\W+", "_", f"{row.method.lower()}{row.path.removeprefix('/v1')}").strip("_"),
        "summary": row.summary,
        "parameters": [_parameter(each) for each in declared],
        "responses": {
            **{str(status): _answer(answer, schemas) for status, answer in row.answers.items()},
            **{str(status): _problem(status, schemas) for status in _refusals(row)},
        },
    }
    if row.body is not None:
        shown["requestBody"] = {
            "required": not row.optional_body,
            "content": {JSON: {"schema": schemas[repr(row.body)]}},
        }
    return shown


def _undeclared(row: Endpoint) -> list[Parameter]:
    """The parameters in the path that the row does not describe itself."""
    declared = {each.name for each in row.parameters if each.place == "path"}
    return [PATH_PARAMETERS[name] for name in re.findall(r"{(\w+)}", row.path) if name not in declared]


def _parameter(parameter: Parameter) -> Schema:
    schema: Schema = dict(parameter.schema)
    if parameter.several:
        schema = {"type": "array", "items": schema, "minItems": 1}
    shown: Schema = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "required": parameter.place == "path",
        "schema": schema,
    }
    if parameter.several:
        shown |= {"style": "form", "explode": True}
    return shown


def _answer(answer: Answer, schemas: Mapping[str, Schema]) -> Schema:
    shown: Schema = {"description": answer.meaning}
    if answer.headers:
        shown["headers"] = {name: {"schema": {"type": "string"}} for name in answer.headers}
    if answer.body is not None:
        shown["content"] = {media: {"schema": schemas[repr(answer.body)]} for media in answer.media}
    return shown


def _refusals(row: Endpoint) -> list[int]:
    ways = {*REFUSALS, *row.problems, *(BODY_REFUSALS if row.method not in ("GET", "HEAD") else ())}
    return sorted(ways - set(row.answers))


def _problem(status: int, schemas: Mapping[str, Schema]) -> Schema:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {PROBLEM: {"schema": schemas[repr(ProblemDocument)]}},
    }
