"""Our own scripts and styles travel compressed, and scripts without their comments; nothing else does.

An answer that mixes a secret with what an attacker may choose tells its secret by its compressed length, so pages and
the API stay as they are. A file is compressed once for each of its versions and kept: there are few, all small.
"""

import gzip
import re
from functools import partial

from flask import Flask, Response, request

from realtime_kv.core.runtime import Future, Workers
from realtime_kv.web.house import wait

COMPRESSIBLE = frozenset({"text/javascript", "text/css", "image/svg+xml"})
# below this, headers weigh more than what is won
SMALLEST = 160

# Comments: a quarter of what a first visit would load. Behind code only those without a quotation mark: what looks like
# a comment and stands in a string has one behind it.
_COMMENTS = re.compile(
    rb"^[ \t]*(?://.*|/\*\*(?:[^*]|\*(?!/))*\*/)[ \t]*\n|(?<=\S)[ \t]+// (?:[^\"'`\n]|(?<=\w)'(?=\w))*$",
    re.MULTILINE,
)

# by the tag, which is another one for each file and each version of it; an address can be spelt in many ways
_kept: dict[str, bytes] = {}


def register(app: Flask) -> None:
    """Compress the static files of `app` for whoever takes gzip."""
    workers = Workers(app.extensions["realtime_kv"].runtime, 1, name="compression")
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
            # the first time takes up to half a second for the largest file, which is not the event loop's to spend
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
            # the same file in other bytes: equal in what it means, which is what a weak tag says
            response.set_etag(etag, weak=True)
        return response


def _is_own_script(response: Response) -> bool:
    return response.mimetype == "text/javascript" and not request.path.startswith("/static/js/vendor/")


def _pack(content: bytes, *, script: bool) -> bytes:
    return gzip.compress(_COMMENTS.sub(b"", content) if script else content, mtime=0)
