"""Static files from memory. A page of the dashboard loads a hundred small ones, and Flask takes half of each request.

Flask makes the first answer of each file; it is kept until the file changes. Requests for a part of a file or by date,
and every name that is not a static file's, go on to Flask.
"""

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from realtime_kv import static_assets
from realtime_kv.config import Config
from realtime_kv.errors import HostRefused
from realtime_kv.request import origin_check

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

# headers of a request that Flask answers
_OF_FLASK = ("HTTP_RANGE", "HTTP_IF_RANGE", "HTTP_IF_MATCH", "HTTP_IF_UNMODIFIED_SINCE")
# headers of an answer with a body only
_OF_BODY = frozenset({"content-length", "content-type", "content-encoding", "content-disposition", "last-modified"})


class _Kept(NamedTuple):
    """The answer for a file as it was when its `state` was looked up."""

    state: tuple[int, int]
    etag: str
    headers: list[tuple[str, str]]
    body: bytes


def from_memory(answer: Wsgi, config: Config, folder: Path) -> Wsgi:
    """Return `answer` as a WSGI app that answers for the files of `folder`, served under `/static/`, from memory."""
    files = _served(folder)
    kept: dict[tuple[str, bool], _Kept] = {}

    def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        file = files.get(path)
        if file is None or environ["REQUEST_METHOD"] != "GET" or any(name in environ for name in _OF_FLASK):
            return answer(environ, start_response)
        conditions = environ.get("HTTP_IF_NONE_MATCH", "")
        if (not conditions and "HTTP_IF_MODIFIED_SINCE" in environ) or "*" in conditions:
            return answer(environ, start_response)
        state = _state(file)
        codings = [coding.strip() for coding in environ.get("HTTP_ACCEPT_ENCODING", "").lower().split(",")]
        packed = "gzip" in codings
        # with weights or wildcards, Flask decides, and an answer for others must not depend on that
        if any(coding != "gzip" and ("gzip" in coding or "*" in coding) for coding in codings):
            return answer(environ, start_response)
        found = kept.get((path, packed))
        if state is None or not _is_own_host(environ, config):
            return answer(environ, start_response)
        if found is None or found.state != state:
            if conditions:
                return answer(environ, start_response)
            made = _ask_flask(answer, environ, start_response, state)
            if isinstance(made, _Kept):
                kept[path, packed] = made
                return [made.body]
            return made
        if any(tag.strip().removeprefix("W/") == found.etag for tag in conditions.split(",")):
            without_body = [header for header in found.headers if header[0].lower() not in _OF_BODY]
            start_response("304 NOT MODIFIED", without_body)
            return []
        start_response("200 OK", list(found.headers))
        return [found.body]

    return wsgi


@cache
def _served(folder: Path) -> dict[str, Path]:
    """Return the static files by the path of their address. A file that is added later is Flask's."""
    files = {f"/static/{file.relative_to(folder).as_posix()}": file for file in folder.rglob("*") if file.is_file()}
    for name in static_assets.VENDOR:
        if (file := static_assets.path(name)) is not None:
            files[f"/static/js/vendor/{name}"] = file
    return files | {"/rkv.js": folder / "js" / "rkv.js"}


def _ask_flask(
    answer: Wsgi, environ: dict[str, Any], start_response: Callable[..., Any], state: tuple[int, int]
) -> _Kept | Iterable[bytes]:
    """Let Flask answer; return its answer as one to keep if it is the file."""
    said: list[tuple[str, list[tuple[str, str]]]] = []

    def start(status: str, headers: list[tuple[str, str]], *failed: Any) -> Any:
        said.append((status, headers))
        return start_response(status, headers, *failed)

    chunks = answer(environ, start)
    status, headers = said[0] if said else ("", [])
    by_name = {name.lower(): value for name, value in headers}
    etag = by_name.get("etag", "").removeprefix("W/")
    if not status.startswith("200") or not etag or "set-cookie" in by_name:
        return chunks
    try:
        body = b"".join(chunks)
    finally:
        if close := getattr(chunks, "close", None):
            close()
    # the server adds the date of each answer
    return _Kept(state, etag, [header for header in headers if header[0].lower() != "date"], body)


def _state(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _is_own_host(environ: dict[str, Any], config: Config) -> bool:
    try:
        origin_check.check_host(environ, config)
    except HostRefused:
        return False
    return True
