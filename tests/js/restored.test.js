import assert from "node:assert/strict"
import { test } from "node:test"
import { client, dashboard, pushed, settled, sync } from "./page.js"
import { Space } from "./space.js"

const { ActivityModel } = await import("../../static/js/dashboard/history/activity-model.js")

/** Create the space of a server restored from a backup: another epoch, in which the same revisions are other writes. */
function restored(keys) {
  const space = new Space({ epoch: "e2" })
  for (const [key, value] of keys) space.set(key, value)
  return space
}

test("a write that relies on a revision of another data set is a conflict, and is not sent", async () => {
  const space = new Space()
  space.set("a", 1)
  const { kv, line } = await client(space)
  line.breaks()
  const conditional = assert.rejects(
    kv.set("a", 2, { ifRevision: 1 }),
    ({ code, entry }) => code === "conflict" && entry.value === "somebody's",
  )
  const undone = assert.rejects(kv.undo(1), { code: "conflict" })
  const unconditional = kv.set("b", 2)
  const after = restored([["a", "somebody's"]])
  line.opens()
  await sync(line, after)
  await conditional
  await undone
  assert.deepEqual(line.waiting, ["set"])
  line.answer("set", { revision: 2, version: 1 })
  assert.deepEqual(await unconditional, { revision: 2, version: 1 })
})

test("a write that relies on a revision goes on after a lost connection to the same data set", async () => {
  const space = new Space()
  space.set("a", 1)
  const { kv, line } = await client(space)
  line.breaks()
  kv.set("a", 2, { ifRevision: 1 })
  line.opens()
  await sync(line, space)
  assert.deepEqual(line.waiting, ["set"])
})

test("nothing that was done in another data set is undone, or taken for what this tab wrote", async () => {
  const space = new Space()
  space.set("a", 1)
  const { kv, line, model } = await dashboard(space)
  const write = kv.set("a", 2)
  line.answer("set", () => {
    space.set("a", 2)
    pushed(line, space)
    return { revision: 2, version: 2 }
  })
  const { revision } = await write
  model.undo.offer("Saved a", [revision])
  await model.undo.load()
  assert.ok(model.undo.possible && kv.wrote(2))
  line.breaks()
  line.opens()
  await sync(
    line,
    restored([
      ["a", "theirs"],
      ["b", "theirs too"],
    ]),
  )
  assert.deepEqual([model.undo.possible, kv.wrote(2)], [false, false])
  await model.undo.last()
  assert.deepEqual(line.waiting, [])
})

test("where one looked last is forgotten with the data set that it was in", async () => {
  const { model, line } = await dashboard()
  const feed = new ActivityModel(model)
  const looks = async () => {
    feed.look(false)
    line.answer("history", { writes: [], floor: 1 })
    await settled()
  }
  await looks()
  feed.before = { epoch: "e1", revision: 7, at: 0 }
  feed.opened.add(3)
  line.breaks()
  line.opens()
  await sync(line, restored([["a", 1]]))
  await looks()
  assert.deepEqual([feed.before, feed.opened.size], [null, 0])
})
