"""Without a network the dashboard opens and keeps saves; no write is sent twice, or overwrites another user's."""

import re

from playwright.sync_api import expect

from tests.browser.browsing import Person, Tab
from tests.live_server import PASSWORD

SERVICE_WORKERS = "allow"

# waits until everything needed without a network is stored
KEPT = """async (revision) => {
  const late = new Promise((_, no) => setTimeout(() => no(new Error("there is no worker")), 20_000))
  const soon = () => new Promise((go) => setTimeout(go, 50))
  await Promise.race([navigator.serviceWorker.ready, late])
  while (!navigator.serviceWorker.controller) await Promise.race([soon(), late]) // it is active before it is in control
  const asked = (request) => new Promise((done, failed) => {
    request.onsuccess = () => done(request.result)
    request.onerror = () => failed(request.error)
  })
  for (let looks = 0; looks < 400; looks++) {
    const db = await asked(indexedDB.open("realtime_kv"))
    const state = db.objectStoreNames.length && await asked(db.transaction("state").objectStore("state").get("state"))
    db.close()
    if (state?.revision >= revision) return state.revision
    await soon()
  }
  throw new Error(`revision ${revision} is not kept`)
}"""
WAITING = """async (many) => {
  const asked = (request) => new Promise((done) => (request.onsuccess = () => done(request.result)))
  for (let looks = 0; looks < 400; looks++) {
    const db = await asked(indexedDB.open("realtime_kv"))
    const waiting = await asked(db.transaction("outbox").objectStore("outbox").count())
    db.close()
    if (waiting === many) return
    await new Promise((go) => setTimeout(go, 50))
  }
  throw new Error(`not ${many} writes wait`)
}"""


def away(ada: Person, *tabs: Tab) -> None:
    ada.expects_outage = True
    ada.go_offline()
    for tab in tabs:
        tab.is_offline()


def test_dashboard_opens_offline_and_sends_saved_writes_on_reconnect(ada):
    ada.set("a", {"n": 1})
    ada.set("b", 2)
    tab = ada.open_tab("a")
    assert tab.page.evaluate(KEPT, 2) == 2
    away(ada, tab)
    tab.page.reload()
    tab.is_offline()
    expect(tab.value_of("a")).to_have_text('{"n":1}')
    expect(tab.count).to_have_text("2 keys")
    expect(tab.page.locator(".offline")).to_have_text(re.compile(r"This is how it was at .*kept in this browser"))
    tab.write("b", "3")
    expect(tab.button("Queued")).to_be_visible()
    tab.create("c", '"new"')
    tab.page.evaluate(WAITING, 2)
    # there is no confirmation: nothing would be lost
    tab.page.reload()
    tab.is_offline()
    expect(tab.page.locator("#unsent")).to_have_text("2 unsent changes")
    expect(tab.row("c")).to_contain_text("unsent")
    tab.open("b")
    expect(tab.editor).to_have_value("3")
    expect(tab.button("Queued")).to_be_visible()
    # any page of the dashboard, at any address
    tab.page.goto(ada.server.url + "/keys?key=c")
    expect(tab.page.locator("#detail-heading")).to_have_text("c")
    ada.context.set_offline(False)
    tab.is_live()
    expect(tab.value_of("b")).to_have_text("3")
    expect(tab.value_of("c")).to_have_text('"new"')
    expect(tab.page.locator("#unsent")).to_have_count(0)
    tab.page.evaluate(WAITING, 0)
    versions = {entry["key"]: entry["version"] for entry in ada.call("list")["entries"]}
    assert versions == {"a": 1, "b": 2, "c": 1}


def test_offline_edits_conflict_with_newer_changes_and_never_overwrite_them(ada):
    ada.set("a", "at first")
    ada.set("b", "at first")
    tab = ada.open_tab()
    tab.page.evaluate(KEPT, 2)
    away(ada, tab)
    tab.write("a", '"mine"')
    tab.write("b", '"also mine"')
    tab.page.evaluate(WAITING, 2)
    # set_offline affects this browser's pages only: its HTTP calls go on
    ada.set("a", "theirs")
    ada.set("b", "also theirs")
    tab.page.goto(ada.server.url + "/keys?key=a")
    tab.is_offline()
    # a text is edited as text
    expect(tab.editor).to_have_value("mine")
    ada.context.set_offline(False)
    tab.is_live()
    expect(tab.conflict).to_contain_text("Changed in another tab.")
    expect(tab.editor).to_have_value("mine")
    assert (ada.get("a"), ada.get("b")) == ("theirs", "also theirs")
    tab.click("Keep mine")
    expect(tab.value_of("a")).to_have_text('"mine"')
    tab.toasts.get_by_role("button", name="Open").click()
    expect(tab.page.locator("#detail-heading")).to_have_text("b")
    expect(tab.editor).to_have_value("also mine")
    tab.click("Take theirs")
    assert (ada.get("a"), ada.get("b")) == ("mine", "also theirs")


def test_outbox_of_a_closed_tab_is_sent_once_by_another_tab(ada):
    ada.set("a", 1)
    here, there = ada.open_tab(), ada.open_tab()
    for tab in (here, there):
        tab.look().page.evaluate(KEPT, 1)
    away(ada, here, there)
    here.look()
    here.write("a", "2")
    here.page.evaluate(WAITING, 1)
    here.page.close()
    ada.context.set_offline(False)
    there.look().is_live()
    expect(there.value_of("a")).to_have_text("2")
    there.page.evaluate(WAITING, 0)
    assert ada.call("get", key="a")["entry"]["version"] == 2


def test_corrupt_stored_replica_is_discarded_and_resynchronized(make_person, own_server):
    ada = make_person("ada", server=own_server)
    ada.expects_outage = True
    ada.call("batch", ops=[{"op": "set", "key": f"k{i}", "value": i} for i in range(5)])
    tab = ada.open_tab()
    tab.page.evaluate(KEPT, 1)
    tab.page.evaluate("""async () => {
      const asked = (request) => new Promise((done) => (request.onsuccess = () => done(request.result)))
      const db = await asked(indexedDB.open("realtime_kv"))
      await asked(db.transaction("entries", "readwrite").objectStore("entries").delete("k3"))
      db.close()
    }""")
    own_server.kill()
    tab.is_offline()
    tab.page.reload()
    tab.is_offline()
    expect(tab.count).to_have_text("Loading…")
    own_server.start()
    tab.is_live()
    expect(tab.count).to_have_text("5 keys")
    tab.page.evaluate(KEPT, 1)
    # a stored state that is consistent but differs from the server's is detected and healed
    tab.page.evaluate("""async () => {
      const asked = (request) => new Promise((done) => (request.onsuccess = () => done(request.result)))
      const db = await asked(indexedDB.open("realtime_kv"))
      const tx = db.transaction(["state", "entries"], "readwrite")
      tx.objectStore("entries").clear()
      const states = tx.objectStore("state")
      await asked(states.put({...await asked(states.get("state")), keys: 0, digest: 0}, "state"))
      db.close()
    }""")
    tab.page.reload()
    tab.is_live()
    expect(tab.count).to_have_text("5 keys")
    tab.state.click()
    expect(tab.page.locator("#status div", has_text="Repairs")).to_contain_text("1")


def test_sign_out_deletes_stored_data_and_the_next_user_sees_none_of_it(make_person):
    ada = make_person("ada")
    ada.set("secret/of-ada", 1)
    tab = ada.open_tab()
    tab.page.evaluate(KEPT, 1)
    tab.sign_out()
    tab.page.wait_for_url("**/signin")
    # the worker may still be there for the sign-in page's own styles
    left = """async () => [Boolean(await caches.match("/keys")), (await indexedDB.databases()).length,
      localStorage.getItem("kept for")]"""
    assert tab.page.evaluate(left) == [False, 0, None]
    bob = make_person("bob")
    ada.context.add_cookies(bob.context.cookies())
    theirs = ada.open_tab()
    expect(theirs.count).to_have_text("0 keys")
    theirs.page.evaluate(KEPT, 0)
    away(ada, theirs)
    theirs.page.reload()
    theirs.is_offline()
    expect(theirs.button(f"Signed in as {bob.username}")).to_be_visible()
    expect(theirs.count).to_have_text("0 keys")


def test_cache_errors_while_the_browser_clears_storage_are_not_reported(make_person):
    ada = make_person("ada")
    page = ada.open_tab().page
    expect(page.locator("#main")).to_have_attribute("data-loaded", "all")
    page.evaluate("""() => {
      CacheStorage.prototype.keys = async () => {
        document.documentElement.dataset.failed = "yes"
        throw new DOMException("Unexpected internal error.")
      }
    }""")
    ada.call("sign_out")
    expect(page.locator("#signed-out")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("data-failed", "yes")
    # a complaint would have been reported by then
    page.evaluate("new Promise((done) => setTimeout(done))")


def sign_in_for_once(person: Person) -> Tab:
    page = person.new_page()
    page.goto(person.server.url + "/signin")
    page.get_by_label("Username").fill(person.username)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Keep me signed in").uncheck()
    page.get_by_role("button", name="Sign in").click()
    tab = Tab(person, page)
    tab.is_live()
    expect(page.locator("#main")).to_have_attribute("data-loaded", "all")
    return tab


NOTHING_KEPT = """async () => localStorage.getItem("kept for") === null && !(await caches.match("/keys"))
  && !(await indexedDB.databases()).length && !(await navigator.serviceWorker.getRegistrations()).length"""


def test_session_without_keep_me_signed_in_stores_nothing(make_person):
    person = make_person()
    person.set("secret", "hidden")
    person.call("sign_out")
    tab = sign_in_for_once(person)
    tab.write("secret", '"hidden still"')
    tab.is_saved()
    assert tab.page.evaluate(NOTHING_KEPT)


def test_offline_modules_are_preloaded_without_a_service_worker(make_person):
    person = make_person()
    person.expects_outage = True
    person.set("a", 1)
    person.call("sign_out")
    tab = sign_in_for_once(person)
    # the files that a first visit loads are not needed again
    person.go_offline()
    tab.is_offline()
    expect(tab.page.locator(".offline")).to_contain_text("This is how it was at")
    expect(tab.page.locator("#polite")).to_contain_text("Offline. What you save is kept in this tab")
    tab.state.click()
    expect(tab.page.locator("#status")).to_contain_text("What you see may be out of date")
    tab.page.keyboard.press("Escape")
    tab.write("a", "2")
    expect(tab.button("Queued")).to_be_visible()
    expect(tab.page.locator("#unsent")).to_have_text("1 unsent change")
    tab.click("Pause live changes")
    tab.click("Paused · 0 changes waiting")
    person.context.set_offline(False)
    tab.is_live()
    expect(tab.toasts).to_contain_text("Back online")
    expect(tab.value_of("a")).to_have_text("2")
    expect(tab.page.locator("#update")).to_be_empty()


def test_temporary_session_sends_an_earlier_outbox_and_deletes_stored_data(make_person):
    ada, bob = make_person("ada"), make_person("bob")
    ada.set("a", 1)
    tab = ada.open_tab()
    tab.page.evaluate(KEPT, 1)
    away(ada, tab)
    tab.write("a", "2")
    tab.page.evaluate(WAITING, 1)
    tab.page.close()
    # the session is over, and this browser was not told
    ada.context.clear_cookies()
    ada.context.set_offline(False)
    again = sign_in_for_once(ada)
    expect(again.value_of("a")).to_have_text("2")
    again.page.wait_for_function(NOTHING_KEPT)
    assert ada.get("a") == 2
    # and the same when the stored data is another user's
    again.sign_out()
    again.page.wait_for_url("**/signin")
    ada.sign_in()
    tab = ada.open_tab()
    tab.page.evaluate(KEPT, 2)
    tab.page.close()
    ada.context.clear_cookies()
    ada.username = bob.username
    theirs = sign_in_for_once(ada)
    expect(theirs.count).to_have_text("0 keys")
    theirs.page.wait_for_function(NOTHING_KEPT)


def test_another_users_cookie_clears_the_replica_and_sends_none_of_the_outbox(make_person):
    ada = make_person("ada")
    ada.set("secret/of-ada", 1)
    tab = ada.open_tab()
    tab.page.evaluate(KEPT, 1)
    away(ada, tab)
    tab.create("of-ada", "1")
    tab.page.evaluate(WAITING, 1)
    bob = make_person("bob")
    ada.context.clear_cookies()
    ada.context.add_cookies(bob.context.cookies())
    ada.context.set_offline(False)
    # the page comes from the network, so it is bob's
    tab.page.goto(ada.server.url + "/keys")
    tab.is_live()
    expect(tab.count).to_have_text("0 keys")
    tab.page.evaluate(KEPT, 0)
    assert bob.call("list")["entries"] == []
    # her saves wait for her
    tab.page.evaluate(WAITING, 1)
    tab.page.close()
    ada.context.clear_cookies()
    ada.sign_in()
    tab = ada.open_tab()
    expect(tab.value_of("of-ada")).to_have_text("1")
    tab.page.evaluate(WAITING, 0)
    assert ada.get("of-ada") == 1
    assert bob.call("list")["entries"] == []


def test_outbox_survives_a_remote_sign_out_and_is_sent_after_sign_in(make_person):
    ada = make_person("ada")
    ada.set("a", "before")
    elsewhere = ada.server.sign_in(ada.username)
    tab = ada.open_tab()
    tab.page.evaluate(KEPT, 1)
    away(ada, tab)
    tab.write("a", '"offline"')
    tab.create("b", '"new"')
    tab.page.evaluate(WAITING, 2)
    assert elsewhere.http("end_other_sessions").status_code == 200
    ada.context.set_offline(False)
    dialog = tab.page.get_by_role("dialog", name="You were signed out")
    expect(dialog).to_contain_text("They are sent when you sign in again.")
    # its values are gone, the waiting writes are not
    entries = """async () => {
      const asked = (request) => new Promise((done) => (request.onsuccess = () => done(request.result)))
      const db = await asked(indexedDB.open("realtime_kv"))
      const kept = await asked(db.transaction("entries").objectStore("entries").count())
      db.close()
      return kept
    }"""
    tab.page.evaluate(WAITING, 2)
    assert tab.page.evaluate(entries) == 0
    ada.sign_in()
    # in another tab, while the one that was signed out is still open
    again = ada.open_tab()
    expect(again.value_of("a")).to_have_text('"offline"')
    expect(again.value_of("b")).to_have_text('"new"')
    again.page.evaluate(WAITING, 0)
    assert [entry["version"] for entry in ada.call("list")["entries"]] == [2, 1]


def test_outbox_is_limited_to_100_writes(ada):
    tab = ada.open_tab()
    tab.page.evaluate(KEPT, 0)
    tab.page.evaluate(
        """async (user) => {
          const { Client } = await import("/rkv.js")
          window.kv = new Client({ user })
          await kv.ready
          await kv.keep()
        }""",
        ada.username,
    )
    away(ada, tab)
    told = tab.page.evaluate("""async () => {
      while (kv.state !== "offline") await new Promise((go) => setTimeout(go, 20))
      const answers = Array.from({ length: 101 }, (_, i) => kv.set(`k${i}`, i).catch(({ message }) => message))
      return [kv.pending.length, await answers[100]]
    }""")
    assert told == [
        100,
        "100 changes wait for the connection, which is as many as are kept. Save again when it is back.",
    ]
    ada.context.set_offline(False)
    tab.is_live()
    expect(tab.count).to_have_text("100 keys")


def test_online_events_while_connecting_open_no_second_connection(ada):
    tab = ada.open_tab()
    tab.page.evaluate(KEPT, 0)
    states = tab.page.evaluate(
        """async (user) => {
          const { Client } = await import("/rkv.js")
          const kv = new Client({ user, keep: true })
          const states = []
          kv.onState((state) => states.push(state))
          dispatchEvent(new Event("online"))
          dispatchEvent(new Event("online"))
          await kv.ready
          return states
        }""",
        ada.username,
    )
    assert states == ["catching up", "live"]


def test_service_worker_serves_its_own_version_and_tolerates_a_full_quota(ada):
    tab = ada.open_tab()
    tab.page.evaluate(KEPT, 0)
    # the files of one version stay together: a page with some of them and some newer ones would not run
    held = tab.page.evaluate("""async () => {
      const name = (await caches.keys()).find((name) => name !== "realtime_kv pages")
      const cache = await caches.open(name)
      const text = await (await cache.match("/static/js/client/keys.js")).text()
      const headers = { "Content-Type": "text/javascript" }
      await cache.put("/static/js/client/keys.js", new Response(`${text}\n// of this version`, { headers }))
      return (await fetch("/static/js/client/keys.js")).text()
    }""")
    assert "compareKeys" in held and held.endswith("// of this version")
    quota = {"origin": ada.server.url, "quotaSize": 1}
    ada.context.new_cdp_session(tab.page).send("Storage.overrideQuotaForOrigin", quota)
    tab.page.goto(f"{ada.server.url}/account/data")
    expect(tab.button("Preview")).to_be_visible()
    tab.page.goto(f"{ada.server.url}/keys")
    tab.is_live()
    tab.create("a", "1")
    expect(tab.value_of("a")).to_have_text("1")
