import assert from "node:assert/strict"
import { test } from "node:test"

import { NOTHING, read, write } from "../../static/js/dashboard/route.js"

const at = (path) => read(`http://127.0.0.1:5000${path}`)

test("an address that says nothing shows the keys", () => {
  assert.deepEqual(at("/keys"), NOTHING)
  assert.equal(write(NOTHING), "/keys")
})

test("whatever can be shown has an address that shows it again", () => {
  for (const changes of [
    { key: "app/a b&c=d?e#f%20" },
    { key: "__proto__", tab: "history", from: 41, to: 43 },
    { key: "", tab: "use" },
    { prefix: "app/", q: "fl+g é😀", sort: "-updated", view: "tree" },
    { page: "activity", q: "x", who: "api", away: "1", prefix: "app/" },
    { page: "trash" },
  ])
    assert.deepEqual(at(write({ ...NOTHING, ...changes })), { ...NOTHING, ...changes })
})

test("what belongs to another page does not stand in the address", () => {
  assert.equal(
    write({ ...NOTHING, key: "a", tab: "history", to: 3, who: "api", away: "1" }),
    "/keys?key=a&tab=history&to=3",
  )
  assert.equal(write({ ...NOTHING, page: "trash", q: "x", sort: "-key", who: "api" }), "/trash?q=x")
})

test("what makes no sense is left out", () => {
  assert.deepEqual(at("/keys?tab=nonsense&from=-1&to=1e9&sort=colour&view=map&evil=1"), NOTHING)
})
