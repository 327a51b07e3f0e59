import assert from "node:assert/strict"
import { test } from "node:test"

import { call, once } from "../../static/js/dashboard/shared/lazy.js"

test("what is loaded is loaded once, and after a failure the next one tries again", async () => {
  const answers = [Promise.reject(new TypeError("no network")), Promise.resolve({ name: "loaded" })]
  const load = once(() => answers.shift())
  await assert.rejects(load(), { message: "no network" })
  const [one, other] = [load(), load()]
  assert.deepEqual(await one, { name: "loaded" })
  assert.equal(await other, await one)
  assert.deepEqual(answers, [])
})

test("a call waits for what it is for, in order, or says why that could not be loaded", async () => {
  const said = []
  const failures = []
  const answers = [Promise.reject(new TypeError("no network")), Promise.resolve({ say: (text) => said.push(text) })]
  const say = call(
    once(() => answers.shift()),
    "say",
    ({ message }) => failures.push(message),
  )
  await say("lost")
  await Promise.all([say("one"), say("two")])
  assert.deepEqual([failures, said], [["no network"], ["one", "two"]])
})
