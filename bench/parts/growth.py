"""Growth: how more keys and more users affect one set and one get, with one call in flight."""

import math
from statistics import median

from bench import plot
from bench.servers import Auth, Ours
from bench.setting import Measured, Setting, by_turns, carry_out, ratio, say

KEYS = (100, 10_000, 100_000)
USERS = (10, 100, 500)
VERBS = ("set", "get")
_KEYS_OF_EACH = 100


def measure(setting: Setting) -> Measured:
    """Measure over keys (spaces of some sizes on one server) and over users (one writes, all have keys and a tab)."""
    seconds = min(setting.seconds, 1.0)
    return {"keys": _over_keys(setting, seconds), "users": _over_users(setting, seconds)}


def rows(measured: Measured) -> list[str]:
    """Return two small tables."""
    lines = ["one call in flight, p50 in ms"]
    for what, of in measured.items():
        lines += ["", f"{what:8}" + "".join(f"{size:>10}" for size in of["sizes"]) + f"{'largest / smallest':>22}"]
        lines += [
            f"{verb:8}" + "".join(f"{took:10.3f}" for took in times) + f"{ratio(times[-1], times[0]):20.2f} x"
            for verb, times in of["p50_ms"].items()
        ]
    return lines


def plots(measured: Measured) -> dict[str, str]:
    """Return a plot with a line for each verb."""
    return {
        f"growth-{what}": plot.lines(
            f"One call in flight among so many {what}, p50 in ms",
            f"How long a set and a get take when there are more {what}. Flat is good.",
            [f"{size:,} {what}" for size in of["sizes"]],
            of["p50_ms"],
        )
        for what, of in measured.items()
    }


def _over_keys(setting: Setting, seconds: float) -> Measured:
    with setting.ours() as server:
        owners = dict(zip(KEYS, server.auths(len(KEYS)), strict=True))
        for size, owner in owners.items():
            say(f"growth: filling a space with {size} keys")
            _fill(server, owner, size)
        took: dict[str, dict[int, list[float]]] = {verb: {size: [] for size in KEYS} for verb in VERBS}
        for number in range(setting.rounds):
            for verb in VERBS:
                for size in by_turns(number, [*KEYS]):
                    say(f"growth: round {number + 1} of {setting.rounds}, {verb} among {size} keys")
                    plan = {"verb": verb, "tabs": 1, "in_flight": 1, "keys": size, "seconds": seconds}
                    took[verb][size].append(_p50(carry_out(server, [owners[size]], **plan)))
        return _table(KEYS, took)


def _over_users(setting: Setting, seconds: float) -> Measured:
    took: dict[str, dict[int, list[float]]] = {verb: {} for verb in VERBS}
    with setting.ours() as server:
        auths: list[Auth] = []
        for size in USERS:
            say(f"growth: {size} users")
            new = server.auths(size - len(auths))
            ops = [{"op": "set", "key": f"k{n}", "value": {"text": "x" * 40}} for n in range(_KEYS_OF_EACH)]
            for auth in new:
                server.call(auth, "batch", {"ops": ops})
            auths += new
            for number in range(setting.rounds):
                for verb in VERBS:
                    say(f"growth: round {number + 1} of {setting.rounds}, {verb} among {size} users")
                    plan = {"verb": verb, "tabs": 1, "in_flight": 1, "keys": _KEYS_OF_EACH, "seconds": seconds}
                    measured = carry_out(server, auths, writing=1, **plan)
                    took[verb].setdefault(size, []).append(_p50(measured))
    return _table(USERS, took)


def _p50(measured: Measured) -> float:
    took = measured["ack_ms"]
    return math.nan if took is None else took["p50"]


def _table(sizes: tuple[int, ...], took: dict[str, dict[int, list[float]]]) -> Measured:
    return {"sizes": sizes, "p50_ms": {verb: [median(of[size]) for size in sizes] for verb, of in took.items()}}


def _fill(server: Ours, owner: Auth, keys: int) -> None:
    batch = min(keys, 100)
    plan = {"tabs": 1, "in_flight": 4, "batch": batch, "keys": keys, "seconds": 600, "warm_up": 0}
    carry_out(server, [owner], **plan, fill=keys + 5 * batch)
