import assert from "node:assert/strict"
import { test } from "node:test"

import { Announcer } from "../../static/js/dashboard/shell/live-announcer.js"

const firefox = { label: "Firefox on Linux", via: "socket" }
const changed = (key) => ({ key, entry: {}, origin: firefox })

function listening(setting = "open") {
  const clock = { now: 0, due: [] }
  const polite = { textContent: "" }
  const assertive = { textContent: "" }
  const later = (fn, ms) => clock.due.push([clock.now + ms, fn])
  const announcer = new Announcer(polite, assertive, () => setting, { now: () => clock.now, later })
  const wait = (ms) => {
    clock.now += ms
    const due = clock.due.filter(([at]) => at <= clock.now)
    clock.due = clock.due.filter(([at]) => at > clock.now)
    for (const [, fn] of due) fn()
  }
  return { announcer, polite, assertive, wait }
}

test("one message in five seconds, and what comes meanwhile is said together", () => {
  const { announcer, polite, wait } = listening()
  announcer.say("Offline.")
  wait(50)
  assert.equal(polite.textContent, "Offline.")
  announcer.say("Back online.")
  announcer.say("Saved a.")
  announcer.say("Saved a.")
  wait(4_900)
  assert.equal(polite.textContent, "")
  wait(100)
  assert.equal(polite.textContent, "Back online. Saved a.")
})

test("the assertive region has its own turn", () => {
  const { announcer, polite, assertive, wait } = listening()
  announcer.say("Saved a.")
  announcer.alert("b was changed in another tab.")
  wait(50)
  assert.deepEqual([polite.textContent, assertive.textContent], ["Saved a.", "b was changed in another tab."])
})

test("of what others change the open key alone is told, or all, or nothing", () => {
  for (const [setting, expected] of [
    ["open", "b was changed: Firefox on Linux."],
    ["all", "3 keys changed, the latest c."],
    ["off", ""],
  ]) {
    const { announcer, polite, wait } = listening(setting)
    announcer.changed(["a", "b"].map(changed), "b")
    announcer.changed([changed("a"), changed("c")], "b")
    wait(50)
    assert.equal(polite.textContent, expected)
  }
})

test("a key that is gone is said to be gone", () => {
  const { announcer, polite, wait } = listening("all")
  announcer.changed([{ key: "a", origin: { via: "expiry" } }], null)
  wait(50)
  assert.equal(polite.textContent, "a was deleted: it expired.")
})
