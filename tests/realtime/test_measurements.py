"""Verbs over a socket are counted and timed."""

import requests

from tests.live_server import DEADLINE, Server


def figures(server: Server) -> dict[str, float]:
    lines = requests.get(f"{server.url}/metrics", timeout=DEADLINE).text.splitlines()
    return {name: float(value) for name, value in (line.split() for line in lines if not line.startswith("#"))}


def test_metrics_report_the_count_and_latency_of_verbs(tmp_path):
    server = Server(tmp_path).start()
    try:
        account = server.sign_up("alice")
        tab = account.open_tab()
        assert figures(server)["rkv_latency_p99_seconds"] == 0
        before = figures(server)["rkv_verbs_total"]
        for n in range(20):
            assert tab.call("set", key="a", value=n)["ok"]
        assert not tab.call("get", key="missing")["ok"]
        after = figures(server)
        assert after["rkv_verbs_total"] == before + 21
        assert 0 < after["rkv_latency_p50_seconds"] <= after["rkv_latency_p95_seconds"]
        assert after["rkv_latency_p95_seconds"] <= after["rkv_latency_p99_seconds"] < 60
        account.close()
    finally:
        server.close()
