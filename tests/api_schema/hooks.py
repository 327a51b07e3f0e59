"""Hooks for schemathesis: the reasons to refuse a request that fits the OpenAPI document.

JSON Schema cannot express these rules; the document lists them in its description. Everything else that fits must be
accepted.
"""

from typing import Any

import schemathesis

# (error code, a part of its message), each a rule between fields, between requests, or about bytes
BEYOND_JSON_SCHEMA = [
    ("op_id_reused", "This op_id was used for another verb or payload"),
    ("bad_request", "A key may occur only once in a batch"),
    ("bad_request", "`from` and `to` are the same"),
    ("bad_request", "`from` and `to` are both a prefix"),
    ("bad_request", "That `next` did not come from a sync"),
    ("bad_request", "A sync has either `next`, or"),
    ("invalid_key", "is longer than 512 bytes"),
    ("invalid_value", "is nested"),
    ("too_large", "bytes as compact JSON"),
]


@schemathesis.check
def accepts_what_fits_the_document(ctx: Any, response: Any, case: Any) -> None:
    """Check that a request that fits is executed, or refused for one of the rules above."""
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code not in {400, 413, 422}:
        return
    problem = response.json()
    for code, words in BEYOND_JSON_SCHEMA:
        if problem["code"] == code and words in problem["detail"]:
            return
    raise AssertionError(f"{case.method} {case.path} fits the document and was refused: {problem['detail']}")
