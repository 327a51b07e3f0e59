"""`/rkv.js`, as any page may use it: values come back unchanged, through every call and transport."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import expect

from tests.live_server import fresh_name

SERVICE_WORKERS = "allow"

letters = st.characters(exclude_categories=("Cs",))
keys = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=60)
numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-(2**53) + 1, 2**53 - 1)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(letters, max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(letters, max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture
def page(ada):
    """A page with a client in it, `kv`."""
    page = ada.open_tab().page
    page.evaluate("async () => { window.kv = await (await import('/rkv.js')).connect() }")
    return page


def test_written_values_are_read_back_unchanged(ada, page):
    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(st.dictionaries(keys, values, min_size=1, max_size=5))
    def round_trip(entries):
        # as text, so that Playwright's own conversion of values is not tested
        page.evaluate(
            "(text) => kv.batch(JSON.parse(text).map(([key, value]) => ({op: 'set', key, value})))",
            json.dumps(list(entries.items())),
        )
        held = json.loads(
            page.evaluate(
                "(text) => JSON.stringify(JSON.parse(text).map((key) => kv.get(key)))", json.dumps(list(entries))
            )
        )
        assert held == list(entries.values())
        for key, value in entries.items():
            assert ada.get(key) == value

    round_trip()


def test_values_written_over_http_reach_the_page_unchanged(ada, page):
    @settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(keys, values)
    def round_trip(key, value):
        revision = ada.set(key, value)
        text = page.evaluate(
            """async ([key, revision]) => {
              while (kv.position.revision < revision) await new Promise((go) => setTimeout(go, 1))
              return JSON.stringify([kv.get(key), (await kv.fetch(key)).value])
            }""",
            [key, revision],
        )
        assert json.loads(text) == [value, value]

    round_trip()


def test_reads_writes_and_listeners_work_like_local_storage(page):
    assert page.evaluate("""async () => {
      const seen = []
      const told = ({key, value, old, mine}) => seen.push([key, value ?? null, old?.value ?? null, mine])
      const stop = kv.on("app/*", told)
      const {revision, version} = await kv.set("app/a", {b: 1})
      await kv.set("other", 1)
      await kv.set("app/a", 2, {ifRevision: revision})
      await kv.delete("app/a")
      stop()
      await kv.set("app/a", 3)
      return {seen, version, value: kv.get("app/a"), missing: kv.get("nothing") === undefined, keys: kv.keys("app/"),
              entries: kv.entries().map(({key}) => key), size: kv.size, state: kv.state, pending: kv.pending}
    }""") == {
        "seen": [
            ["app/a", {"b": 1}, None, True],
            ["app/a", 2, {"b": 1}, True],
            ["app/a", None, 2, True],
        ],
        "version": 1,
        "value": 3,
        "missing": True,
        "keys": ["app/a"],
        "entries": ["app/a", "other"],
        "size": 2,
        "state": "live",
        "pending": [],
    }


def test_history_trash_restore_and_undo_work_from_the_client(page):
    assert page.evaluate("""async () => {
      const refused = async (act) => {
        try { await act(); return null } catch (error) { return [error.code ?? error.name, error.key ?? null] }
      }
      await kv.set("a", 1)
      await kv.set("a", 2)
      await kv.delete("a")
      const trash = (await kv.trash({prefix: "a"})).entries.map(({key, value}) => [key, value])
      const seen = []
      kv.on("*", ({key, value, mine}) => seen.push([key, value ?? null, mine]))
      const restored = await kv.restore("a")
      const earlier = await kv.restore("a", {revision: 1, ifRevision: restored.revision})
      const dry = await kv.undo(earlier.revision, {dryRun: true})
      const undone = await kv.undo(earlier.revision)
      const {writes, floor} = await kv.history({key: "a", before: 4, limit: 2})
      return {trash, restored, earlier, dry, undone, seen, value: kv.get("a"), floor,
              history: writes.map(({revision, ops}) => [revision, ops[0].op]),
              whole: (await kv.history()).writes.length,
              refused: [
                await refused(() => kv.restore("never")),
                await refused(() => kv.restore("a")),
                await refused(() => kv.restore("a", {revision: 1, ifRevision: 1})),
                await refused(() => kv.undo(1)),
                await refused(() => kv.undo(99)),
                await refused(() => kv.undo(1, {dryrun: true})),
                await refused(() => kv.history({until: 3})),
              ]}
    }""") == {
        "trash": [["a", 2]],
        "restored": {"revision": 4, "version": 3},
        "earlier": {"revision": 5, "version": 4},
        "dry": {"revision": 5, "count": 1},
        "undone": {"revision": 6, "count": 1},
        "seen": [["a", 2, True], ["a", 1, True], ["a", 2, True]],
        "value": 2,
        "floor": 1,
        "history": [[3, "delete"], [2, "set"]],
        "whole": 6,
        "refused": [
            ["not_found", None], ["bad_request", None], ["conflict", None], ["conflict", "a"], ["not_found", None],
            ["TypeError", None], ["TypeError", None],
        ],
    }  # fmt: skip


def test_prefix_verbs_move_copy_and_delete_in_one_write(page):
    assert page.evaluate("""async () => {
      const refused = async (act) => {
        try { await act(); return null } catch (error) { return [error.code ?? error.name, error.entry?.key ?? null] }
      }
      await kv.set("a/x", 1, {ttl: 3600})
      await kv.set("a/y", 2)
      await kv.set("b", 3)
      const seen = []
      kv.on("*", ({key, value, mine}) => seen.push([key, value ?? null, mine]))
      const dry = await kv.move("a/", "c/", {dryRun: true})
      const moved = await kv.move("a/", "c/")
      const renamed = await kv.move("b", "d")
      const copied = await kv.copy("c/", "c/old/")
      const going = kv.deletePrefix("c/old/")
      const pending = kv.pending.map(({verb, keys}) => [verb, keys])
      const gone = await going
      const entry = kv.entry("c/x")
      return {dry, moved, renamed, copied, pending, gone, seen, keys: kv.keys(),
              expires: Date.parse(entry.expires_at) - Date.parse(entry.updated_at) > 3_500_000,
              none: await kv.deletePrefix("nothing/"),
              count: await kv.deletePrefix("", {dryRun: true}),
              refused: [
                await refused(() => kv.copy("c/x", "c/y")),
                await refused(() => kv.move("absent", "b")),
                await refused(() => kv.move("c/", "c/in/")),
                await refused(() => kv.move("c/", "e")),
                await refused(() => kv.move("", "e")),
                await refused(() => kv.deletePrefix("c/", {dryrun: true})),
              ]}
    }""") == {
        "dry": {"revision": 3, "count": 2},
        "moved": {"revision": 4, "count": 2},
        "renamed": {"revision": 5, "count": 1},
        "copied": {"revision": 6, "count": 2},
        "pending": [["delete_prefix", ["c/old/x", "c/old/y"]]],
        "gone": {"revision": 7, "count": 2},
        "seen": [
            ["c/x", 1, True], ["c/y", 2, True], ["a/x", None, True], ["a/y", None, True],
            ["d", 3, True], ["b", None, True],
            ["c/old/x", 1, True], ["c/old/y", 2, True],
            ["c/old/x", None, True], ["c/old/y", None, True],
        ],
        "keys": ["c/x", "c/y", "d"],
        "expires": True,
        "none": {"revision": 7, "count": 0},
        "count": {"revision": 7, "count": 3},
        "refused": [
            ["conflict", "c/y"], ["not_found", None], ["bad_request", None], ["bad_request", None],
            ["invalid_key", None], ["TypeError", None],
        ],
    }  # fmt: skip


def test_invalid_calls_are_rejected_with_an_error_code(page):
    refused = page.evaluate("""async () => {
      const tried = async (act) => {
        try { await act(); return null } catch (error) { return error.code ?? error.name }
      }
      await kv.set("a", 1)
      return [
        await tried(() => kv.set("a", 2, {ifRevision: 0})),
        await tried(() => kv.set("", 1)),
        await tried(() => kv.set("a", NaN)),
        await tried(() => kv.set("a", undefined)),
        await tried(() => kv.set("a", "x".repeat(70000))),
        await tried(() => kv.set("a", 1, {ifrevision: 1})),
        await tried(() => kv.fetch("nothing")),
        await tried(() => kv.batch([{op: "set", key: "b", value: 1}, {op: "delete", key: "a", ifRevision: 77}])),
        await tried(() => { "use strict"; kv.get("a") }),
        kv.get("a"), kv.get("b") === undefined,
      ]
    }""")
    assert refused == [
        "conflict", "invalid_key", "invalid_value", "invalid_value", "too_large", "TypeError", "not_found", "conflict",
        None, 1, True,
    ]  # fmt: skip


def test_returned_values_are_frozen(page):
    assert page.evaluate("""async () => {
      await kv.set("a", {b: [1]})
      "use strict"
      try { kv.get("a").b.push(2) } catch (error) { return [error.name, kv.get("a")] }
    }""") == ["TypeError", {"b": [1]}]


def test_connect_without_a_session_fails_with_unauthenticated(make_person, server):
    person = make_person(signed_up=False)
    page = person.new_page()
    page.goto(server.url + "/signin")
    assert page.evaluate("""async () => {
      const {connect} = await import("/rkv.js")
      try { await connect() } catch ({code, message}) { return [code, message] }
    }""") == ["unauthenticated", "Sign in first: the server does not know this caller."]
    person.complaints = [text for text in person.complaints if "status of 401" not in text]


def test_connect_with_a_token_works_without_a_session(make_person, server):
    person = make_person(signed_up=False)
    account = server.sign_up(fresh_name("program"))
    page = person.new_page()
    page.goto(server.url + "/signin")
    page.evaluate(
        """async ([url, token]) => {
          const {connect} = await import("/rkv.js")
          const kv = await connect({url, token})
          await kv.set("a", 1)
          kv.close()
        }""",
        [server.url, account.token],
    )
    assert account.http("get", key="a").json()["entry"]["value"] == 1


def test_thousands_of_writes_at_once_all_arrive_in_order(ada, page):
    assert page.evaluate("""async () => {
      const answers = await Promise.all(Array.from({length: 3000}, (_, i) => kv.set(`k${i % 7}`, i)))
      return answers.every(({version}, i) => version === Math.floor(i / 7) + 1)
    }""")
    assert {ada.get(f"k{i}") for i in range(7)} == set(range(2993, 3000))


def test_dashboard_works_over_polling_if_every_websocket_is_refused(make_person):
    person = make_person("polling")
    person.context.add_init_script("""window.WebSocket = class {
      constructor() { setTimeout(() => { this.onerror(new Event("error")); this.onclose({}) }) }
      close() {}
    }""")
    here, there = person.open_tab(), person.open_tab()
    there.create("a", "1")
    expect(here.value_of("a")).to_have_text("1")
