"""Speed of the list of keys, measured in a real browser.

`python -m tests.browser.speed` prints the figures.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import expect, sync_playwright

from realtime_kv.bootstrap.chromium import find
from tests.browser.browsing import Person, Tab
from tests.browser.conftest import FLAGS
from tests.live_server import Server, fresh_name

KEYS = 100_000
BATCH = 125
TEXTS = ["n", "no", "north", "north 7", "sensor-99", "zzz", "berlin/sensor-4", "21.5", "true"]

# time from a letter to the frame that shows its matches
FILTER = """async (texts) => {
  const filter = document.getElementById("filter")
  const times = []
  for (const text of texts) {
    const start = performance.now()
    filter.value = text
    filter.dispatchEvent(new Event("input", {bubbles: true}))
    await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))
    times.push(performance.now() - start)
  }
  return times
}"""

# baseline for the filter: the shortest possible loop over as many texts, and the next frame
PLAIN = """async ({ texts, count }) => {
  const rows = Array.from({ length: count }, (_, i) => `berlin/sensor-${i % 97}/reading-${i} North ${i % 89}`)
  const times = []
  for (const text of texts) {
    const start = performance.now()
    window.matched = rows.filter((row) => row.includes(text)).length
    await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))
    times.push(performance.now() - start)
  }
  return times
}"""

WATCH_TASKS = """() => {
  window.tasks = []
  const note = (list) => window.tasks.push(...list.getEntries().map(({duration}) => duration))
  new PerformanceObserver(note).observe({type: "longtask"})
}"""

# a timer that is set while a frame is drawn runs after it has been painted
WATCH_VALUES = """() => {
  window.painted = {}
  const cell = document.querySelector("[title='watched'] ~ .v")
  const note = () => (window.painted[cell.textContent.trim()] ??= performance.timeOrigin + performance.now())
  new MutationObserver(() => setTimeout(note)).observe(cell, {subtree: true, childList: true, characterData: true})
}"""

PAINTED = """async (text) => {
  while (!window.painted[text]) await new Promise((later) => setTimeout(later, 5))
  return window.painted[text]
}"""


def fill(person: Person, keys: int = KEYS) -> None:
    """Write small objects in three levels of folders."""
    cities = ["berlin", "oslo", "lisbon", "quito", "perth"]
    for start in range(0, keys, BATCH):
        ops = [
            {
                "op": "set",
                "key": f"{cities[i % 5]}/sensor-{i % 97:02}/reading-{i}",
                "value": {"at": f"North {i % 89}", "celsius": i % 400 / 10, "ok": i % 3 == 0, "tags": ["a", "b"]},
            }
            for i in range(start, min(keys, start + BATCH))
        ]
        person.call("batch", ops=ops)


def filter_times(tab: Tab, rounds: int = 3) -> list[float]:
    """Return the milliseconds for each letter, once the values are ready for searching."""
    box = tab.page.get_by_label("Filter keys")
    box.fill("north")
    expect(tab.count).not_to_contain_text("searching", timeout=60_000)
    times = [taken for _ in range(rounds) for taken in tab.page.evaluate(FILTER, TEXTS)]
    box.fill("")
    return times


def plain_times(tab: Tab, rounds: int = 3) -> list[float]:
    """Return the milliseconds for each letter, by a plain loop over as many texts in the same page."""
    return [taken for _ in range(rounds) for taken in tab.page.evaluate(PLAIN, {"texts": TEXTS, "count": KEYS})]


def most_rows(tab: Tab) -> int:
    """Return the maximum number of rows in the document while scrolling through the flat list."""
    tab.click("List")
    rows = tab.page.locator("#list [role=row]")
    most = rows.count()
    for share in (0.1, 0.5, 1):
        tab.page.locator(".grid").evaluate("(grid, share) => (grid.scrollTop = grid.scrollHeight * share)", share)
        expect(rows.nth(20)).to_be_attached()
        most = max(most, rows.count())
    tab.page.locator(".grid").evaluate("(grid) => (grid.scrollTop = 0)")
    tab.click("Tree")
    return most


def long_tasks(person: Person, tab: Tab, seconds: float = 5, rate: int = 1_000) -> list[float]:
    """Return the milliseconds of each long task in the tab, while `rate` keys change per second."""
    tab.click("List")
    tab.page.evaluate(WATCH_TASKS)
    ops = [{"op": "set", "key": f"berlin/sensor-00/reading-{i * 485}", "value": i} for i in range(50)]
    end, turn = time.monotonic() + seconds, len(ops) / rate
    due = time.monotonic()
    while due < end:
        person.call("batch", ops=[{**op, "value": due} for op in ops])
        due += turn
        time.sleep(max(0, due - time.monotonic()))
    expect(tab.page.locator(".chips")).to_contain_text("changes/s")
    return tab.page.evaluate("window.tasks")


def paint_times(person: Person, tab: Tab, count: int = 40) -> list[float]:
    """Return the milliseconds from a `set` in one tab to the frame of another that shows it."""
    person.set("watched", "first")
    tab.look()
    expect(tab.value_of("watched")).to_have_text('"first"')
    sender = person.open_tab()
    sender.page.evaluate("async () => { window.kv = await (await import('/rkv.js')).connect() }")
    tab.look().page.evaluate(WATCH_VALUES)
    times = []
    for i in range(count):
        # far below the rate at which rows are drawn less often
        time.sleep(0.1)
        sent = sender.page.evaluate(
            "(i) => { const at = performance.timeOrigin + performance.now(); kv.set('watched', i); return at }", i
        )
        expect(tab.value_of("watched")).to_have_text(str(i))
        times.append(tab.page.evaluate(PAINTED, str(i)) - sent)
    sender.page.close()
    return times


def told(name: str, times: list[float], share: float) -> str:
    ordered = sorted(times)
    at = ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0
    middle = statistics.median(ordered) if ordered else 0
    return f"{name}: median {middle:.0f} ms, p{share * 100:.0f} {at:.0f} ms, most {max(ordered, default=0):.0f} ms"


def main() -> None:
    keys = int(sys.argv[1]) if len(sys.argv) > 1 else KEYS
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = Server(Path(folder) / "data").start()
        browser = playwright.chromium.launch(executable_path=find(), args=FLAGS)
        try:
            context: Any = browser.new_context(viewport={"width": 1280, "height": 800})
            person = Person(context, server, fresh_name("ada")).sign_up()
            fill(person, keys - 1)
            tab = person.open_tab()
            expect(tab.count).to_contain_text("keys", timeout=60_000)
            print(f"{keys} keys")
            filtered, plain = filter_times(tab), plain_times(tab)
            print(told("a letter in the filter, until it is painted", filtered, 0.95))
            print(told("the same by a plain loop over as many texts", plain, 0.95))
            print(f"ratio of the medians: {statistics.median(filtered) / statistics.median(plain):.2f}")
            print(f"rows in the document: at most {most_rows(tab)}")
            print(told("a change in the other tab, until it is painted", paint_times(person, tab), 0.95))
            tasks = long_tasks(person, tab)
            print(
                told("1000 changes a second for 5 s: long tasks (first left out)", tasks[1:], 0.95),
                f"({len(tasks)} of them)",
            )
        finally:
            browser.close()
            server.close()


if __name__ == "__main__":
    main()
