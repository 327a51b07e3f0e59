"""Line separators in JSON text: escaped in formats that are read by lines, server-sent events and NDJSON.

U+0085, U+2028 and U+2029 end no line in either format, but some readers split at them (Python's `str.splitlines`, and
libraries built on it). In JSON text they occur inside strings only, where an escape means the same.
"""

_ESCAPES = ((b"\xc2\x85", b"\\u0085"), (b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"))


def escape(json: bytes) -> bytes:
    """Return the same JSON (UTF-8) without U+0085, U+2028 and U+2029."""
    if json.isascii():
        return json
    for separator, escaped in _ESCAPES:
        json = json.replace(separator, escaped)
    return json
