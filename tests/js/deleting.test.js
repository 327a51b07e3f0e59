import assert from "node:assert/strict"
import { test } from "node:test"
import { dashboard, pushed, settled, sync } from "./page.js"
import { Space } from "./space.js"

const { remove } = await import("../../static/js/dashboard/list/actions.js")

async function on(entries) {
  const space = new Space({ pageSize: 1_000 })
  for (const [key, value] of entries) space.set(key, value)
  return dashboard(space)
}

const many = (count) => Array.from({ length: count }, (_, n) => [`f/${String(n).padStart(4, "0")}`, n])

test("from a list that stands still, what is deleted is what it shows", async () => {
  const { model, line, space } = await on([["a", 1]])
  await model.browse.pause()
  space.set("a", 2)
  pushed(line, space)
  remove(model, { keys: ["a"] })
  await settled()
  assert.equal(line.sent.find(({ verb }) => verb === "delete").payload.if_revision, 1)
})

test("a folder that is deleted without a connection takes nothing along that came later", async () => {
  const { model, line, kv, space } = await on(many(200))
  line.breaks()
  remove(model, { keys: kv.keys("f/"), folder: "f/" })
  space.set("f/0199", "newer")
  line.opens()
  await sync(line, space)
  line.answer("batch", { revision: 202, results: [] })
  await settled()
  assert.deepEqual(line.waiting, ["batch"])
  assert.deepEqual(line.sent[0].payload.ops.at(-1), { op: "delete", key: "f/0199", if_revision: 200 })
})

test("a folder of few keys goes as it is shown, in one write; one of many by its name", async () => {
  const { model, line, kv } = await on(many(300))
  remove(model, { keys: kv.keys("f/000"), folder: "f/000" })
  remove(model, { keys: kv.keys("f/"), folder: "f/" })
  await settled()
  assert.deepEqual(line.waiting, ["batch", "delete_prefix"])
  assert.equal(line.sent[0].payload.ops.length, 10)
})

test("what is ticked goes, wherever one is or is not in the list", async () => {
  const { model, line } = await on(many(3))
  model.browse.selectAll()
  remove(model, { keys: model.browse.selection.keys })
  await settled()
  assert.deepEqual(line.waiting, ["batch"])
})

test("coming back to a place, only what is still there is ticked", async () => {
  const { model } = await on([["a", 1]])
  model.browse.place = { open: model.browse.place.open, ticked: ["a", "gone"] }
  assert.deepEqual(model.browse.selection.keys, ["a"])
})
