"""JSON object reader: reads an object of any length member by member, with a moving window of the file in memory.

A value is only measured here, at C speed; validation.py decides whether it may be stored.
"""

import codecs
import json
import re
from collections.abc import Iterator
from typing import BinaryIO, NoReturn

import msgspec

from realtime_kv.core.validation import DEPTH
from realtime_kv.errors import BadRequest, InvalidValue, TooLarge

# maximum of one name or one value as it is in the file, including white space: as much as any message may have
LIMIT = 1024 * 1024
_CHUNK = 1024 * 1024

_SPACE = re.compile(r"[ \t\n\r]*")
# numbers are not parsed: a long one would take long
_measure = json.JSONDecoder(parse_int=len, parse_float=len, parse_constant=len).raw_decode


class JsonObjectReader:
    """The text of a file, which is one JSON value; `line` is the line being read, from 1."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        # a byte order mark is not part of the text
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._text = ""
        self._at = 0
        self._ended = False
        self.line = 1

    def members(self) -> Iterator[str]:
        """Yield the names in the object that begins here; take the value of each before asking for the next."""
        self._expect("{", "an object")
        if self._next() == "}":
            self._go(self._at + 1)
            return
        while True:
            yield self._name()
            if self._expect(",}", "`,` or `}`") == "}":
                return

    def value(self) -> bytes:
        """Return the value that begins here, as it is in the file."""
        self._next()
        return self._take().encode()

    def end(self) -> None:
        """Raise BadRequest unless nothing is left."""
        if self._next():
            self._complain("there is data after the end of the object")

    def _name(self) -> str:
        if self._next() != '"':
            self._complain("a name in quotation marks is expected here")
        try:
            name: str = msgspec.json.decode(self._take(), type=str)
        except (msgspec.DecodeError, ValueError):
            self._complain("this name is not JSON")
        self._expect(":", "`:`")
        return name

    def _take(self) -> str:
        """Take the JSON value at this position; the window holds enough of it."""
        self._fill()
        try:
            _, end = _measure(self._text, self._at)
        except RecursionError:
            raise InvalidValue(f"it is nested more than {DEPTH} deep", line=self.line) from None
        except ValueError as error:
            # the file may continue where the window ends
            broken = isinstance(error, json.JSONDecodeError) and not error.msg.startswith("Unterminated string")
            if self._ended or (broken and getattr(error, "pos", 0) < len(self._text) - 8):
                self._complain("this is not JSON")
            end = len(self._text)
        if end - self._at > LIMIT:
            raise TooLarge(f"The value that begins in line {self.line} is too long.", limit=LIMIT, line=self.line)
        taken = self._text[self._at : end]
        self._go(end)
        return taken

    def _expect(self, signs: str, told: str) -> str:
        sign = self._next()
        if not sign or sign not in signs:
            self._complain(f"{told} is expected here")
        self._go(self._at + 1)
        return sign

    def _next(self) -> str:
        """Return the next character that is not white space, without taking it; "" at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            assert match is not None
            self._go(match.end())
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._fill()

    def _go(self, to: int) -> None:
        self.line += self._text.count("\n", self._at, to)
        self._at = to

    def _fill(self) -> None:
        """Extend the window beyond the maximum length of a name or value."""
        if self._ended or len(self._text) - self._at > LIMIT:
            return
        pieces = [self._text[self._at :]]
        left = 2 * LIMIT - len(pieces[0])
        while left > 0 and not self._ended:
            piece = self._file.read(_CHUNK)
            self._ended = not piece
            try:
                pieces.append(self._decode(piece, final=self._ended))
            except UnicodeDecodeError:
                raise BadRequest("The file is not UTF-8.", line=self.line) from None
            left -= len(pieces[-1])
        self._text, self._at = "".join(pieces), 0

    def _complain(self, what: str) -> NoReturn:
        if not self._text[self._at :]:
            what = "the file ends too early; it may have been cut"
        raise BadRequest(f"Line {self.line}: {what}.", line=self.line)
