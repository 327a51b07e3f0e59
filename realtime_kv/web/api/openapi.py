"""OpenAPI 3.1 document of the verbs, generated from the payload and answer types that requests are checked against."""

from typing import Any

import msgspec

from realtime_kv.config import Config
from realtime_kv.core.validation import SAFE_INTEGER
from realtime_kv.verbs.payloads import Stream
from realtime_kv.verbs.registry import VERBS, Verb
from realtime_kv.version import VERSION

_REF = "#/components/schemas/{name}"
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457; with further fields, by its code.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail", "code", "request_id"],
}
# any JSON value, with the numbers that a value may hold
_NUMBER = {"type": "number", "minimum": -SAFE_INTEGER, "maximum": SAFE_INTEGER}
_VALUE = {
    "title": "Value",
    "description": "Any JSON value, at most 64 levels deep.",
    "anyOf": [
        {"type": ["null", "boolean", "string"]},
        _NUMBER,
        {"type": "array", "items": {"$ref": _REF.format(name="Value")}},
        {"type": "object", "additionalProperties": {"$ref": _REF.format(name="Value")}},
    ],
}
# `next` continues a sync and excludes the other two
_SYNC = {"not": {"required": ["next"], "anyOf": [{"required": ["epoch"]}, {"required": ["since"]}]}}
# the rules that the schema cannot express; `tests/api_schema/hooks.py` lists them as well
_DESCRIPTION = (
    "The verbs over HTTP, and the stream. JSON Schema cannot express a few rules; a request that breaks one of them is "
    "refused with the protocol's error. Lengths count bytes of UTF-8, not characters. Text has no lone surrogates. A "
    "value has a maximum size, and no number so small that a double would hold 0. A key occurs once in a batch. `move` "
    "and `copy` name two different places, both with a `/` at the end or both without. An `op_id` belongs to one "
    "request. `next` comes from a sync, and excludes `epoch` and `since`."
)
_REFUSED = {
    "description": "Why the request was refused.",
    "content": {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}},
}


def document(config: Config, cookie: str) -> dict[str, Any]:
    """Return the whole document; `cookie` is the name of the session's cookie."""
    _, schemas = msgspec.json.schema_components(
        [verb.payload for verb in VERBS.values()] + [Stream, *dict.fromkeys(verb.result for verb in VERBS.values())],
        ref_template=_REF,
    )
    paths = {f"/api/v1/{name}": _path(name, verb, schemas) for name, verb in VERBS.items()}
    paths["/api/v1/stream"] = {"get": _stream(schemas)}
    # the parameters of a query are listed one by one instead
    del schemas["Stream"]
    schemas["Sync"] = {**schemas["Sync"], **_SYNC}
    schemas["Value"] = _VALUE
    return {
        "openapi": "3.1.0",
        "info": {"title": "realtime_kv", "version": VERSION, "description": _DESCRIPTION},
        "servers": [{"url": config.url}],
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": cookie},
            },
            "schemas": {**schemas, "Problem": _PROBLEM},
        },
    }


def _path(name: str, verb: Verb, schemas: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "summary": verb.summary,
        "responses": {"200": _json(verb.result, description="Done."), "default": _REFUSED},
    }
    body = _json(verb.payload, required=True)
    path: dict[str, Any] = {"post": {"operationId": name, **said, "requestBody": body}}
    if verb.reads:
        parameters = _parameters(schemas[verb.payload.__name__])
        path["get"] = {"operationId": f"{name}_by_query", **said, "parameters": parameters}
    return path


def _stream(schemas: dict[str, Any]) -> dict[str, Any]:
    last = {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}}
    return {
        "operationId": "stream",
        "summary": "A sync, then every change, as server-sent events.",
        "parameters": [*_parameters(schemas["Stream"]), last],
        "responses": {
            "200": {
                "description": "The event stream.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            "default": _REFUSED,
        },
    }


def _parameters(schema: dict[str, Any]) -> list[dict[str, Any]]:
    required = schema.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": field}
        for name, field in schema["properties"].items()
    ]


def _json(kind: type, **more: Any) -> dict[str, Any]:
    return {**more, "content": {"application/json": {"schema": {"$ref": _REF.format(name=kind.__name__)}}}}
