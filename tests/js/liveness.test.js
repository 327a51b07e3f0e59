import assert from "node:assert/strict"
import { test } from "node:test"

import { Liveness } from "../../static/js/client/liveness.js"

function liveness(connection = {}) {
  const page = new EventTarget()
  const document = Object.assign(new EventTarget(), { visibilityState: "visible" })
  const done = []
  let time = 0
  const watched = {
    test: () => done.push("test"),
    rest: () => done.push("rest"),
    unansweredFor: () => 0,
    silentFor: () => 0,
    mayRest: () => false,
    ...connection,
  }
  const live = new Liveness(watched, { page, document, now: () => time })
  const show = (state) => {
    document.visibilityState = state
    document.dispatchEvent(new Event("visibilitychange"))
  }
  const after = (ms) => {
    time += ms
    live.tick()
    return done.splice(0)
  }
  return { live, page, document, done, show, after }
}

test("a timer that comes much too late means that the machine has slept", () => {
  const { after, show, done } = liveness()
  assert.deepEqual(after(2_000), [])
  assert.deepEqual(after(2_500), [])
  assert.deepEqual(after(11_000), ["test"])
  // Browsers run the timers of hidden tabs once a minute.
  show("hidden")
  assert.deepEqual(after(60_000), [])
  assert.deepEqual(after(80_000), ["test"])
  show("visible")
  assert.deepEqual(done.splice(0), ["test"])
})

test("whoever looks at the tab, and a network that is lost or back, have the connection tested", () => {
  const { live, page, document, done, show } = liveness()
  for (const event of ["online", "offline", "focus", "pageshow"]) page.dispatchEvent(new Event(event))
  document.dispatchEvent(new Event("resume"))
  assert.equal(done.splice(0).length, 5)
  show("hidden")
  assert.deepEqual(done, [])
  show("visible")
  assert.equal(done.splice(0).length, 1)
  live.close()
  for (const event of ["online", "offline", "focus", "pageshow"]) page.dispatchEvent(new Event(event))
  document.dispatchEvent(new Event("resume"))
  show("hidden")
  show("visible")
  assert.deepEqual(done, [])
})

test("an answer that does not come, and silence, are reasons", () => {
  let [unanswered, silent] = [0, 0]
  const { after, show } = liveness({ unansweredFor: () => unanswered, silentFor: () => silent })
  unanswered = 3_500
  assert.deepEqual(after(2_000), ["test"])
  unanswered = 0
  silent = 31_000
  assert.deepEqual(after(2_000), ["test"])
  show("hidden")
  assert.deepEqual(after(2_000), [])
})

test("a hidden tab gives its connection back when it may, and only then", () => {
  let may = false
  const { after, show } = liveness({ mayRest: () => may })
  show("hidden")
  assert.deepEqual(after(6_000), [])
  may = true
  assert.deepEqual(after(2_000), ["rest"])
  show("visible")
  assert.deepEqual(after(2_000), ["test"])
  show("hidden")
  assert.deepEqual(after(2_000), [])
})
