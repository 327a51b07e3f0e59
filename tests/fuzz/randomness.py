"""Randomness, the same for the same seed, and random damage to bytes."""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

# text that parsers stumble over
SPICE = (
    *b"\0 \r \n \r\n \r\n\r\n \t \x0b".split(b" "),
    *b"\x7f \xff \xc0\x80 \xed\xa0\x80 \xf4\x90\x80\x80 \xef\xbb\xbf \x1e \x1f".split(b" "),
    *b"/ // ../ %00 %2e%2e%2f %ff %c0%80 ? & = ; , : \" ' \\ \\u0000 \\ud800 { } [ ] < > ${7*7} %s %n".split(b" "),
    *b"0 -1 00 1e400 NaN 255 256 65535 65536 2147483648 4294967296 9007199254740993 18446744073709551616".split(b" "),
)


class Randomness(random.Random):
    """Seeded with anything that has a repr."""

    def __init__(self, *seed: object) -> None:
        super().__init__(repr(seed))

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def one(self, things: Sequence[T]) -> T:
        return things[int(self.random() * len(things))]

    def below(self, limit: int) -> int:
        return int(self.random() * limit)

    def junk(self, most: int = 24) -> bytes:
        """Return some meaningless bytes."""
        return self.randbytes(1 + self.below(most)) if self.chance(0.5) else self.one(SPICE)

    def pieces(self, data: bytes, most: int) -> list[bytes]:
        """Return `data`, cut anywhere into at most `most` pieces."""
        cuts = sorted(self.below(len(data) + 1) for _ in range(self.below(most)))
        parts = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        return [part for part in parts if part]


def mangle(rng: Randomness, data: bytes, times: int = 3) -> bytes:
    """Return `data` with a few random defects."""
    for _ in range(1 + rng.below(times)):
        at = rng.below(len(data) + 1)
        end = min(len(data), at + 1 + rng.below(12))
        match rng.below(7):
            case 0:
                data = data[:at] + rng.junk() + data[at:]
            case 1:
                data = data[:at] + rng.junk(4) + data[end:]
            case 2:
                data = data[:at] + data[end:]
            case 3:
                data = data[:end] + data[at:end] * (1 + rng.below(4)) + data[end:]
            case 4:
                data = data[:at]
            case 5 if at < len(data):
                data = data[:at] + bytes([data[at] ^ (1 << rng.below(8))]) + data[at + 1 :]
            case _:
                other = rng.below(len(data) + 1)
                data = data[:at] + data[other : other + 12] + data[at:]
    return data
