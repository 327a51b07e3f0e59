import assert from "node:assert/strict"
import { test } from "node:test"

import { NewKey } from "../../static/js/dashboard/key/model/new-key.js"

const typed = (kind, text) => {
  const fresh = new NewKey("app/a")
  fresh.become(kind)
  fresh.draft.type(text)
  return fresh
}

test("each kind of value takes what is one of it", () => {
  assert.equal(typed("json", "[1]").check(), null)
  assert.equal(typed("json", "hello").check(), "value")
  assert.equal(typed("text", "").check(), null)
  assert.deepEqual(typed("text", "true").draft.reading, { value: "true" })
  assert.equal(typed("number", "1.5").check(), null)
  assert.equal(typed("number", "[1]").check(), "value")
  assert.equal(typed("number", "").check(), "value")
})

test("what has been typed stays when it can be of another kind, too", () => {
  const fresh = typed("json", "12")
  fresh.become("number")
  assert.equal(fresh.draft.text, "12")
  fresh.become("text")
  assert.deepEqual(fresh.draft.reading, { value: "12" })
  fresh.become("json")
  assert.deepEqual(fresh.draft.reading, { value: 12 })
  fresh.become("boolean")
  assert.equal(fresh.draft.text, "true")
  fresh.draft.type("false")
  fresh.become("boolean")
  assert.equal(fresh.draft.text, "false")
  fresh.become("number")
  assert.equal(fresh.draft.text, "")
})

test("what is missing is named, the name first", () => {
  const fresh = typed("json", "")
  fresh.rename("")
  assert.equal(fresh.check(), "key")
  assert.match(fresh.problem, /at least one character/)
  fresh.rename("a")
  assert.equal(fresh.problem, null)
  assert.equal(fresh.check(), "value")
  fresh.draft.type("1")
  fresh.draft.expires = { problem: "In the past." }
  assert.equal(fresh.check(), "expires")
})
