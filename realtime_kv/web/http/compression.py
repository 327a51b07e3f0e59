"""Compression of static scripts, styles and SVG images, and of nothing else. Our own scripts lose their comments.

The compressed length of an answer that mixes a secret with text of an attacker reveals the secret, so pages and the API
are not compressed. Each version of a file is compressed once and kept: there are few, all small.
"""

import gzip
import re
from functools import partial

from flask import Flask, Response, request

from realtime_kv.concurrency.runtime import Future, WorkerPool
from realtime_kv.services import wait

COMPRESSIBLE = frozenset({"text/javascript", "text/css", "image/svg+xml"})
# below this, the extra headers outweigh the saved bytes
SMALLEST = 160

# Comments and blank lines: a quarter of the bytes of a first visit. After code, only comments without a quotation mark
# are removed: a string that contains the look of a comment has a quotation mark after it. The last alternative is a
# type inside of an expression.
_COMMENTS = re.compile(
    rb"^[ \t]*(?://.*|/\*\*(?:[^*]|\*(?!/))*\*/)?[ \t]*\n|(?<=\S)[ \t]+// (?:[^\"'`\n]|(?<=\w)'(?=\w))*$"
    rb"|/\*\* @type [^*\n]*\*/ ?",
    re.MULTILINE,
)

# by ETag, which differs for each file and each version of it; an address can be spelt in many ways
_kept: dict[str, bytes] = {}


def register(app: Flask) -> None:
    """Compress the static files of `app` for clients that accept gzip."""
    workers = WorkerPool(app.extensions["realtime_kv"].runtime, 1, name="compression")
    under_way: dict[str, Future[bytes]] = {}

    @app.after_request
    def compress(response: Response) -> Response:
        static = request.path.startswith("/static/") or request.path == "/rkv.js"
        if not static or response.mimetype not in COMPRESSIBLE:
            return response
        response.vary.add("Accept-Encoding")
        etag, _ = response.get_etag()
        if response.status_code != 200 or not etag or not request.accept_encodings["gzip"]:
            return response
        if etag not in _kept:
            # compressing the largest file takes up to half a second, which would block the event loop
            if etag not in under_way:
                response.direct_passthrough = False
                pack = partial(_pack, response.get_data(), script=_is_own_script(response))
                under_way[etag] = workers.submit(lambda _: pack())
            _kept[etag] = wait(under_way[etag])
            under_way.pop(etag, None)
        if len(_kept[etag]) >= SMALLEST and request.method == "GET":
            response.direct_passthrough = False
            response.set_data(_kept[etag])
            response.content_encoding = "gzip"
            # the same file in other bytes: semantically equal, hence a weak ETag
            response.set_etag(etag, weak=True)
        return response


def _is_own_script(response: Response) -> bool:
    return response.mimetype == "text/javascript" and not request.path.startswith("/static/js/vendor/")


def _pack(content: bytes, *, script: bool) -> bytes:
    return gzip.compress(_COMMENTS.sub(b"", content) if script else content, mtime=0)
