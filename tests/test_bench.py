"""Tests of the benchmark's own parts: people would believe a figure that is drawn, counted or filed wrongly."""

import re
import selectors
import socket
import xml.etree.ElementTree as ElementTree

import pytest

from bench import document, plot
from bench.tab import Tab

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def counting_tab():
    """Yield a tab that only counts `"sent":`, and the server's end of its connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener, selectors.DefaultSelector() as selector:
        tab = Tab(selector, listener.getsockname()[1], {})
        server, _ = listener.accept()
        with server:
            server.recv(4096)
            tab.count(b'"sent":')
            yield tab, server
            tab.close()


def receive(tab, server, data):
    server.sendall(data)
    tab.ready(selectors.EVENT_READ)


def test_bar_lengths_match_the_values_and_the_description_lists_them():
    svg = plot.bars(
        "Keys & values", "Words.", ["ours", "peer"], [plot.Group("a", [50.0, 100.0]), plot.Group("b", [25.0, None])]
    )
    page = ElementTree.fromstring(svg)
    widths = [float(bar.get("width")) for bar in page.iter(f"{SVG}rect") if bar.get("height") == "17"]
    assert widths == pytest.approx([widths[1] / 2, widths[1], widths[1] / 4], abs=0.1)
    assert page.find(f"{SVG}title").text == "Keys & values"
    assert page.find(f"{SVG}desc").text == "Words. a: ours 50, peer 100; b: ours 25."


def test_line_plot_rises_with_its_values_and_skips_missing_ones():
    page = ElementTree.fromstring(plot.lines("Title", "Words.", ["1", "2", "3"], {"ours": [1.0, float("nan"), 4.0]}))
    dots = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in page.iter(f"{SVG}circle")]
    assert len(dots) == 2
    assert dots[0][0] < dots[1][0] and dots[0][1] > dots[1][1]


def test_new_figures_replace_their_section_and_leave_the_others_unchanged():
    page = "a\n<!-- load -->\nold\n<!-- end of load -->\nb\n<!-- idle -->\nkept\n<!-- end of idle -->\n"
    new = document.replaced(page, "load", [r"1 \1 2"])
    assert "old" not in new and "kept" in new and r"1 \1 2" in new
    assert document.replaced(new, "load", [r"1 \1 2"]) == new


def test_section_missing_from_the_page_is_an_error():
    with pytest.raises(ValueError, match="storm"):
        document.replaced("nothing", "storm", [])


def test_marker_split_across_two_reads_is_counted_once(counting_tab):
    tab, server = counting_tab
    for data in (b'{"sent":1,"se', b'nt":2}{"sent', b'":3}"sent":', b"4"):
        receive(tab, server, data)
    assert tab.counted == 4


def test_counting_tab_answers_pings_even_split_across_two_reads(counting_tab):
    tab, server = counting_tab
    receive(tab, server, b"\x81\x01")
    receive(tab, server, b"2")
    head = server.recv(64)
    assert head[:2] == b"\x81\x81" and bytes([head[2] ^ head[6]]) == b"3"
    assert len(head) == 7


def test_every_plot_referenced_by_the_benchmarks_page_exists():
    root = document.Path(document.__file__).parent.parent / "docs"
    named = re.findall(r"!\[[^]]+\]\(([^)]+)\)", (root / "benchmarks.md").read_text())
    assert named and all((root / name).is_file() for name in named)
