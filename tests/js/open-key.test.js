import assert from "node:assert/strict"
import { test } from "node:test"
import { dashboard, pushed, settled, sync } from "./page.js"
import { Space } from "./space.js"

/** Create a space with these entries and a dashboard on it. */
async function on(entries) {
  const space = new Space()
  for (const [key, value] of Object.entries(entries)) space.set(key, value)
  return dashboard(space)
}

/** Let the server execute the oldest `set`, push its change and acknowledge it. */
function accept({ line, space }) {
  line.answer("set", ({ key, value }) => {
    space.set(key, value)
    pushed(line, space)
    return { revision: space.revision, version: 1 }
  })
  return settled()
}

async function edit(page, key, text) {
  page.model.opened.openKey(key)
  page.model.opened.edit()
  page.model.opened.type(text)
  await settled()
}

test("a save is written, and then there is nothing unsaved", async () => {
  const page = await on({ a: 1 })
  await edit(page, "a", "2")
  page.model.opened.save()
  await accept(page)
  assert.equal(page.kv.get("a"), 2)
  assert.equal(page.model.opened.hasDraft("a"), false)
})

test("a save that is acknowledged while a sync holds its change back is no conflict with what one typed on", async () => {
  const page = await on({ a: 1 })
  const { line, space, kv, model } = page
  await edit(page, "a", "2")
  // A lost change causes a sync.
  space.set("b", 1)
  space.set("c", 1)
  pushed(line, space)
  const before = space.sync(line.sent.find(({ verb }) => verb === "sync").payload)
  model.opened.save()
  await accept(page)
  model.opened.type("23")
  line.answer("sync", before)
  await sync(line, space)
  assert.equal(kv.get("a"), 2)
  const { draft } = model.opened.open
  assert.equal(draft.conflict, null)
  assert.deepEqual([draft.text, draft.ifRevision, draft.saving], ["23", 4, null])
})

test("saving what was deleted meanwhile creates it again", async () => {
  const page = await on({ a: 1 })
  const { line, space } = page
  await edit(page, "a", "2")
  space.delete("a")
  pushed(line, space)
  page.model.opened.save()
  assert.equal(line.sent.find(({ verb }) => verb === "set").payload.if_revision, 0)
})

test("what somebody wrote again as it was is no conflict; a save goes on top of it", async () => {
  const page = await on({ a: 1 })
  const { line, space } = page
  await edit(page, "a", "2")
  for (const write of [() => space.delete("a"), () => space.set("a", 1)]) {
    write()
    pushed(line, space)
  }
  assert.deepEqual([page.model.opened.open.draft.conflict, page.model.opened.open.draft.text], [null, "2"])
  page.model.opened.save()
  assert.equal(line.sent.find(({ verb }) => verb === "set").payload.if_revision, 3)
})

test("what one answers to a conflict counts for that one only, not for what came meanwhile", async () => {
  const page = await on({ a: { x: 1, y: 1 } })
  const { line, space, model } = page
  await edit(page, "a", '{"x": 2, "y": 1}')
  space.set("a", { x: 1, y: 2 })
  pushed(line, space)
  const seen = model.opened.open.draft.conflict
  space.set("a", { x: 1, y: 3 })
  pushed(line, space)
  model.opened.takeMerged({ x: 2, y: 2 }, seen)
  model.opened.keepMine(seen)
  model.opened.takeTheirs(seen)
  assert.deepEqual(
    line.waiting.filter((verb) => verb === "set"),
    [],
  )
  assert.equal(model.opened.open.draft.text, '{"x": 2, "y": 1}')
  assert.equal(model.opened.open.draft.conflict.entry.revision, 3)
})

test("a new key does not take the place of unsaved text of that name", async () => {
  const page = await on({ a: 1 })
  const { model } = page
  await edit(page, "a", "12")
  model.opened.startNew("a")
  model.opened.fresh.draft.type("3")
  model.opened.save()
  assert.match(model.opened.fresh.problem, /unsaved text/)
  model.opened.openKey("a")
  assert.equal(model.opened.open.draft.text, "12")
})

test("what was typed for a new key is still there when one comes back from another one", async () => {
  const page = await on({ a: 1 })
  const { model } = page
  model.opened.startNew()
  model.opened.fresh.rename("b")
  model.opened.fresh.draft.type("3")
  model.opened.openKey("a")
  assert.deepEqual(model.opened.unsaved, [{ key: "b", text: "3" }])
  model.opened.startNew()
  assert.deepEqual([model.opened.fresh.key, model.opened.fresh.draft.text], ["b", "3"])
  model.opened.cancel()
  assert.deepEqual(model.opened.unsaved, [])
  model.opened.startNew()
  assert.deepEqual([model.opened.fresh.key, model.opened.fresh.draft.text], ["", ""])
})

const left = (key, value, if_revision, before) => ({ verb: "set", payload: { key, value, if_revision }, before })

test("what a closed tab has left does not overwrite what is typed here, and is not lost when it is refused", async () => {
  const page = await on({ a: 1 })
  const { model, line, space } = page
  const before = page.kv.entry("a")
  await edit(page, "a", "12")
  space.set("a", 5)
  pushed(line, space)
  const refusal = Object.assign(new Error("'a' is already at revision 2"), {
    code: "conflict",
    entry: page.kv.entry("a"),
  })
  await model.opened.adopt(left("a", 3, 1, before), Promise.reject(refusal))
  assert.equal(model.opened.open.draft.text, "12")
  assert.deepEqual(model.opened.unsaved, [
    { key: "a", text: "12" },
    { key: "a", text: "3" },
  ])
  // The second draft follows when the first is resolved.
  model.opened.takeTheirs(model.opened.open.draft.conflict)
  assert.equal(model.opened.open.draft.text, "3")
  assert.equal(model.opened.open.draft.conflict.entry.value, 5)
})

test("what two closed tabs have left of one key is both there when both are refused", async () => {
  const page = await on({ a: 1 })
  const { model, line, space } = page
  const before = page.kv.entry("a")
  space.set("a", 5)
  pushed(line, space)
  const refusal = Object.assign(new Error("'a' is already at revision 2"), {
    code: "conflict",
    entry: page.kv.entry("a"),
  })
  const answers = [new Promise((_, no) => setImmediate(no, refusal)), new Promise((_, no) => setImmediate(no, refusal))]
  await Promise.all(answers.map((answer, i) => model.opened.adopt(left("a", 7 + i, 1, before), answer)))
  assert.deepEqual(model.opened.unsaved, [
    { key: "a", text: "7" },
    { key: "a", text: "8" },
  ])
})

test("what is being written goes along when its key gets another name", async () => {
  const page = await on({ a: 1 })
  const { model, line, space, told } = page
  await edit(page, "a", "12")
  const moved = page.kv.move("a", "b")
  line.answer("move", () => {
    space.write([
      { op: "delete", key: "a" },
      { op: "set", key: "b", value: 1 },
    ])
    pushed(line, space)
    return { revision: space.revision, count: 1 }
  })
  await moved
  model.opened.moved("a", "b")
  model.opened.openKey("b")
  const { draft } = model.opened.open
  assert.deepEqual([draft.text, draft.ifRevision, draft.conflict, model.opened.hasDraft("a")], ["12", 2, null, false])
  assert.deepEqual(told, [])
})

test("a value that is held stays in sight when the server is too busy to say more about it", async () => {
  const page = await on({ a: 1 })
  page.model.opened.openKey("a")
  page.line.refuse("get", { code: "rate_limited", message: "Too many requests." })
  await settled()
  assert.equal(page.model.opened.open.answer.refusal, undefined)
})

test("what was typed and no row leads to is found again", async () => {
  const page = await on({ a: 1, b: 2 })
  const { opened } = page.model
  const strays = () => opened.strays.map(({ key }) => key)
  opened.startNew("c")
  opened.fresh.draft.type("3")
  assert.deepEqual(strays(), [])
  await edit(page, "a", "1.5")
  await edit(page, "not there", "4")
  opened.openKey("b")
  // The draft of `a` is marked in its row.
  assert.deepEqual(strays(), ["not there", "c"])
  opened.strays.at(-1).open()
  assert.equal(opened.fresh.draft.text, "3")
  assert.deepEqual(strays(), ["not there"])
  opened.strays[0].open()
  assert.equal(opened.open.draft.text, "4")
})
