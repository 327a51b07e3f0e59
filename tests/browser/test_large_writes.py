"""Writes that fit no message: refused at once or split, and never retried forever."""

from playwright.sync_api import expect

from tests.browser.test_offline import KEPT, WAITING

SERVICE_WORKERS = "allow"

STORE = """async ([user, ops]) => {
  const asked = (request) => new Promise((done, failed) => {
    request.onsuccess = () => done(request.result)
    request.onerror = () => failed(request.error)
  })
  const db = await asked(indexedDB.open("realtime_kv"))
  const tx = db.transaction("outbox", "readwrite")
  const payload = { ops, op_id: "poison" }
  const keys = ops.map(({ key }) => key)
  const at = Date.now()
  const write = { op_id: "poison", tab: "gone", at, number: 1, verb: "batch", payload, keys, prefixes: [], epoch: null }
  tx.objectStore("outbox").put({ ...write, before: null, user })
  await new Promise((done) => (tx.oncomplete = done))
  db.close()
}"""


def test_write_above_the_message_limit_is_refused_and_later_writes_succeed(ada):
    tab = ada.open_tab()
    told = tab.page.evaluate("""async () => {
      const kv = await (await import("/rkv.js")).connect()
      const states = []
      kv.addEventListener("state", ({ detail }) => states.push(detail.state))
      const why = ({ code, limit, actual }) => [code, limit, actual > limit]
      const refused = async (write) => write.then(() => null, why)
      const large = Array.from({ length: 128 }, (_, i) => ({ op: "set", key: `b/${i}`, value: "x".repeat(16_000) }))
      const batch = refused(kv.batch(large))
      const set = refused(kv.set("big", "x".repeat(2_000_000)))
      const { version } = await kv.set("small", 1)
      return [await batch, await set, version, kv.pending.length, states]
    }""")
    refusal = ["too_large", 1024 * 1024, True]
    assert told == [refusal, refusal, 1, 0, []]


def test_move_of_many_large_keys_is_split_into_several_writes(ada):
    for i in range(24):
        ada.set(f"doc-{i:02}", "x" * 60_000)
    tab = ada.open_tab()
    expect(tab.count).to_have_text("24 keys")
    tab.look().row("doc-00").locator("input[type=checkbox]").check()
    tab.row("doc-00").press("Control+a")
    tab.click("Move…")
    tab.page.get_by_label("Into the folder").fill("copies/")
    tab.page.keyboard.press("Enter")
    expect(tab.toasts).to_contain_text("Moved 24 keys")
    keys = [entry["key"] for entry in ada.call("list", values=False)["entries"]]
    assert keys == [f"copies/doc-{i:02}" for i in range(24)]


def test_oversized_write_in_the_outbox_of_an_earlier_version_is_refused(ada):
    tab = ada.open_tab()
    tab.page.evaluate(KEPT, 0)
    ops = [{"op": "set", "key": f"b/{i}", "value": "x" * 16_000} for i in range(128)]
    tab.page.evaluate(STORE, [ada.username, ops])
    tab.page.reload()
    expect(tab.toasts).to_contain_text("This takes")
    tab.page.evaluate(WAITING, 0)
    tab.is_live()
    tab.create("after", "1")
    expect(tab.row("after").locator("time")).to_be_visible()
    assert ada.get("after") == 1
