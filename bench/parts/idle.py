"""Idle tabs: memory per listening tab, and connections lost over time."""

import time

from bench import probe, processes
from bench.probe import Probe
from bench.setting import Measured, Setting, say
from bench.tab import Loop, Tab

_TABS_OF_EACH = 20
# every tab gets a ping within 25 s
_HOLD = 30.0


def measure(setting: Setting) -> Measured:
    """Connect and sync all tabs, and hold them until each has been pinged."""
    count = setting.idle_tabs
    processes.allow_open_files(count + 1000)
    lost: list[str] = []
    with setting.ours() as server:
        asking, *auths = server.auths(1 + -(-count // _TABS_OF_EACH))
        # a new process: memory left over from password hashing would distort the tabs' share
        server.stop()
        server.start()
        loop = Loop()
        # the first tabs make the server load and allocate everything that tabs share
        _open(loop, server.port, auths[:1] * 8, lost)
        before = server.resident_mib()
        with Probe(server, asking) as asked:
            say(f"idle: connecting {count} tabs")
            began = time.monotonic()
            tabs: list[Tab] = []
            # one tab of each user per pass: all tabs of a user together would crowd each room
            for start in range(0, count, len(auths)):
                tabs += _open(loop, server.port, auths[: min(len(auths), count - start)], lost)
            connected = time.monotonic() - began
            say(f"idle: holding them for {_HOLD:.0f} s")
            held = time.monotonic() + _HOLD
            while time.monotonic() < held:
                loop.step(0.1)
        on_server = server.figures("rkv_tabs")["rkv_tabs"]
        not_pinged = sum(tab.pings == 0 for tab in tabs)
        return {
            "tabs": count,
            "users": len(auths),
            "connected_seconds": connected,
            "held_seconds": _HOLD,
            "before_mib": before,
            "resident_mib": server.resident_mib(),
            "kib_per_tab": (server.resident_mib() - before) * 1024 / count,
            "dropped": len(lost),
            "not_pinged": not_pinged,
            "tabs_on_server": on_server,
            "failed": bool(lost or not_pinged or on_server < count),
            "answer_ms": asked.found,
            "watchdog": probe.watchdog(server),
        }


def rows(measured: Measured) -> list[str]:
    """Return memory, lost connections, and the latency of the server's event loop meanwhile."""
    return [
        (
            f"{measured['tabs']} tabs of {measured['users']} users, connected and in step within "
            f"{measured['connected_seconds']:.1f} s, held for {measured['held_seconds']:.0f} s"
        ),
        (
            f"resident memory: {measured['before_mib']:.0f} MiB before, {measured['resident_mib']:.0f} MiB with them: "
            f"{measured['kib_per_tab']:.1f} KiB each"
        ),
        f"dropped: {measured['dropped']}; not pinged: {measured['not_pinged']}"
        + (": this must not be" if measured["failed"] else ""),
        f"a small call meanwhile: {probe.row(measured['answer_ms'])}",
        f"its own watchdog: {probe.watchdog_row(measured['watchdog'])}",
    ]


def plots(_measured: Measured) -> dict[str, str]:
    """Return no plots: the result is one figure."""
    return {}


def _open(loop: Loop, port: int, auths: list[dict[str, str]], lost: list[str]) -> list[Tab]:
    tabs = loop.open(port, auths)
    for tab in tabs:
        tab.on_close = lost.append
    loop.sync(tabs)
    return tabs
