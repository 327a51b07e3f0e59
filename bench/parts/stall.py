"""Event loop stalls under load with values of up to 4 KiB."""

from bench import probe
from bench.probe import Probe
from bench.servers import Ours
from bench.setting import Measured, Setting, carry_out, say

_TEXT = 4096 - 64


def measure(setting: Setting) -> Measured:
    """Run a probe beside the load; the same on the peer."""
    seconds = max(setting.seconds * 2, 2.0)
    results: Measured = {}
    for server in (setting.ours(), *setting.peer()):
        with server:
            say(f"stall: {server.name}")
            asking, *writing = server.auths(1 + setting.users)
            plan = {"tabs": setting.tabs, "in_flight": 8, "text": _TEXT, "varied": True, "seconds": seconds}
            with Probe(server, asking) as asked:
                results[server.name] = {"load": carry_out(server, writing, **plan)}
            results[server.name]["answer_ms"] = asked.found
            if isinstance(server, Ours):
                results[server.name]["watchdog"] = probe.watchdog(server)
    return {"users": setting.users, "tabs": setting.tabs, "servers": results}


def rows(measured: Measured) -> list[str]:
    """Return the probe's latencies and the server's own figures."""
    lines = [f"{measured['users']} users x {measured['tabs']} tabs, 8 sets in flight, values of up to 4 KiB"]
    for server, of in measured["servers"].items():
        load = of["load"]
        lines.append(f"{server:9}{load['keys_per_second']:.0f} sets/s; a small call: {probe.row(of['answer_ms'])}")
        if of.get("watchdog"):
            lines.append(f"{'':9}its own watchdog: {probe.watchdog_row(of['watchdog'])}")
    return lines


def plots(_measured: Measured) -> dict[str, str]:
    """Return no plots: the result is a line of figures."""
    return {}
