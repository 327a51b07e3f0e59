import assert from "node:assert/strict"
import { test } from "node:test"

import { compareKeys, sortKeys } from "../../static/js/client/keys.js"
import { inView, RowIndex, scrollFor } from "../../static/js/dashboard/list/model/row-index.js"
import * as finding from "../../static/js/dashboard/list/model/search-bundle.js"
import { folderOf, folderRow, parentOf } from "../../static/js/dashboard/list/model/tree.js"
import { randomness } from "./space.js"

const all = (rows) => Array.from({ length: rows.length }, (_, i) => rows.at(i))
const listed = (keys, view = {}, held = () => undefined, isOpen = undefined) => {
  const rows = new RowIndex(held, isOpen)
  rows.equip(finding)
  rows.replace([...keys])
  rows.show(view)
  return rows
}

test("keys stand in byte order, filtered or not, whatever comes and goes", () => {
  const random = randomness(3)
  const pool = ["a", "A", "ab", "b/a", "b/B", "～", "😀", "__proto__", "é"]
  const rows = new RowIndex()
  rows.equip(finding)
  const expected = new Set()
  for (let step = 0; step < 2_000; step++) {
    const key = random.pick(pool)
    if (random.chance(0.5)) {
      rows.add(key)
      expected.add(key)
    } else {
      rows.remove(key)
      expected.delete(key)
    }
    if (random.chance(0.2)) rows.show({ q: random.pick(["", "a", "B", "x"]) })
    if (random.chance(0.05)) {
      rows.show({ q: "" })
      assert.equal(rows.length, expected.size)
    }
    if (random.chance(0.1)) {
      rows.settle(Infinity)
      assert.ok(all(rows).every((key) => expected.has(key)))
    }
  }
  rows.show({ q: "" })
  assert.deepEqual(
    all(rows),
    [...expected].sort((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y))),
  )
  rows.show({ q: "A" })
  assert.ok(all(rows).every((key) => key.toLowerCase().includes("a")))
})

test("a row is found by its key, in every order", () => {
  for (const sort of ["key", "-key", "updated", "-updated"]) {
    const rows = listed(["c", "a", "b"], { sort }, (key) => ({ revision: "bca".indexOf(key) }))
    for (let i = 0; i < 3; i++) assert.equal(rows.indexOf(rows.at(i)), i)
    assert.deepEqual([rows.indexOf("x"), rows.has("c"), rows.has("x")], [-1, true, false])
  }
})

test("a filter is text, whatever it means elsewhere", () => {
  const keys = ["a.b", "axb", "(", "[x", "a\\b", "a-b", "a/b", "É", "{1}", "$^"]
  const rows = listed(keys)
  for (const q of [...keys, "é", "A.", "]"]) {
    rows.show({ q })
    assert.deepEqual(all(rows), sortKeys(keys.filter((key) => key.toLowerCase().includes(q.toLowerCase()))), q)
  }
})

test("a filter finds values as they read, and follows them when they change", () => {
  const held = { a: 'Says "Hi"', b: { deep: ["Needle", 1.5, null] }, c: 42, d: undefined }
  const rows = listed(Object.keys(held), {}, (key) => ({ value: held[key], revision: 1 }))
  const search = (q) => {
    rows.show({ q })
    return all(rows)
  }
  assert.deepEqual(search('says "hi"'), ["a"])
  assert.deepEqual(search("needle"), ["b"])
  assert.deepEqual(search("NULL"), ["b"])
  assert.deepEqual(search("42"), ["c"])
  held.c = "needle too"
  rows.add("c")
  assert.deepEqual(search("needle"), ["b", "c"])
  held.b = 0
  rows.add("b")
  rows.settle(Infinity)
  assert.deepEqual(all(rows), ["c"])
  rows.remove("a")
  assert.deepEqual(search("needle"), ["c"])
})

test("a prefix shows what begins like it, and no more", () => {
  const keys = ["ap", "app", "app-x", "app/", "app/a", "app/b/c", "app0", "b"]
  assert.deepEqual(all(listed(keys, { prefix: "app/" })), ["app/", "app/a", "app/b/c"])
  assert.deepEqual(all(listed(keys, { prefix: "app/", q: "c" })), ["app/b/c"])
  assert.deepEqual(all(listed(keys, { prefix: "app/", tree: true })), ["app/", "app/a", folderRow("app/b/"), "app/b/c"])
  assert.deepEqual(all(listed(keys, { prefix: "zzz" })), [])
})

test("what was written last comes first, or last", () => {
  const revisions = { a: 3, b: 1, c: 3, d: 7, e: undefined }
  const held = (key) => revisions[key] && { revision: revisions[key] }
  assert.deepEqual(all(listed("abcde", { sort: "-updated" }, held)), ["e", "d", "a", "c", "b"])
  assert.deepEqual(all(listed("abcde", { sort: "updated" }, held)), ["b", "c", "a", "d", "e"])
  assert.deepEqual(all(listed("abcde", { sort: "-key" }, held)), ["e", "d", "c", "b", "a"])
})

test("a tree has every key in its folder, in every order, and tells where each row stands", () => {
  const random = randomness(5)
  for (let round = 0; round < 200; round++) {
    const keys = [
      ...new Set(
        Array.from({ length: 30 }, () =>
          Array.from({ length: 1 + random.below(4) }, () => random.pick(["a", "b", "/", "-", "～", "😀"])).join(""),
        ),
      ),
    ]
    const age = new Map(keys.map((key) => [key, random.below(20)]))
    const sort = random.pick(["key", "-key", "updated", "-updated"])
    const rows = listed(keys, { tree: true, sort }, (key) => ({ revision: age.get(key) }))
    const ids = all(rows)
    assert.equal(new Set(ids).size, ids.length, "each row once")
    assert.deepEqual(sortKeys(ids.filter((id) => folderOf(id) === null)), sortKeys([...keys]))
    const family = new Map()
    for (const i of ids.keys()) family.set(rows.where(i).parent, [...(family.get(rows.where(i).parent) ?? []), i])
    for (const [i, id] of ids.entries()) {
      const { level, at, of, parent, count } = rows.where(i)
      const folder = folderOf(id)
      const inside = id.slice(0, id.lastIndexOf("/") + 1)
      const home = folder === null ? inside : parentOf(folder)
      assert.equal(parent < 0 ? "" : folderOf(ids[parent]), home)
      assert.equal(level, home.split("/").length)
      assert.deepEqual([family.get(parent).indexOf(i) + 1, family.get(parent).length], [at, of])
      if (folder !== null) {
        assert.equal(count, keys.filter((key) => key.startsWith(folder)).length)
        assert.deepEqual(sortKeys(rows.keysAt(i)), sortKeys(keys.filter((key) => key.startsWith(folder))))
      } else assert.deepEqual(rows.keysAt(i), [id])
    }
    const worth = (id) =>
      Math.max(
        ...keys
          .filter((key) => (folderOf(id) === null ? key === id : key.startsWith(folderOf(id))))
          .map((key) => age.get(key)),
      )
    for (const siblings of family.values())
      for (const [one, next] of siblings.slice(1).map((i, j) => [ids[siblings[j]], ids[i]])) {
        if (sort === "-updated") assert.ok(worth(one) >= worth(next))
        if (sort === "updated") assert.ok(worth(one) <= worth(next))
        if (sort === "key") assert.ok(compareKeys(one, next) < 0 || folderOf(one) === next)
      }
  }
})

test("a closed folder is one row", () => {
  const rows = listed(["a/1", "a/2", "a/b/3", "c"], { tree: true }, undefined, (folder) => folder !== "a/")
  assert.deepEqual(all(rows), [folderRow("a/"), "c"])
  assert.deepEqual([rows.where(0).count, rows.shows(0), rows.where(1).at, rows.where(1).of], [3, false, 2, 2])
})

test("the rows stand still between two makings, and are made again when they have rested", () => {
  const rows = listed(["a", "b"], { q: "x" })
  rows.add("x1")
  assert.ok(rows.stale)
  const rested = rows.settle(0)
  assert.ok(rested > 0)
  assert.equal(rows.length, 0)
  assert.equal(rows.settle(rested), 0)
  assert.deepEqual(all(rows), ["x1"])
})

test("only what is in view is drawn", () => {
  assert.deepEqual(inView({ scrollTop: 0, height: 360, rowHeight: 36, count: 100_000 }), { first: 0, end: 18 })
  assert.deepEqual(inView({ scrollTop: 3_600, height: 360, rowHeight: 36, count: 100_000 }), { first: 92, end: 118 })
  assert.deepEqual(inView({ scrollTop: 3_600, height: 360, rowHeight: 36, count: 5 }), { first: 5, end: 5 })
})

test("a row is scrolled into view by the smallest move", () => {
  const view = { height: 100, rowHeight: 10 }
  assert.equal(scrollFor({ index: 5, scrollTop: 0, ...view }), 0)
  assert.equal(scrollFor({ index: 10, scrollTop: 0, ...view }), 10)
  assert.equal(scrollFor({ index: 2, scrollTop: 500, ...view }), 20)
})

test("100 000 keys are sorted, filtered, folded and added to in no time to speak of", () => {
  const keys = Array.from({ length: 100_000 }, (_, i) => `folder-${i % 97}/key-${(i * 7919) % 100_000}`)
  const values = new Map(
    keys.map((key, i) => [key, { revision: i, value: { name: `Number ${i}`, on: true, tags: ["a", "b"] } }]),
  )
  const rows = new RowIndex((key) => values.get(key))
  rows.equip(finding)
  rows.replace([...keys])
  while (!rows.prepare(50));
  const took = {}
  const time = (name, act) => {
    const start = performance.now()
    act()
    took[name] = Math.round(performance.now() - start)
  }
  time("filter", () => rows.show({ q: "number 99" }))
  time("tree", () => rows.show({ q: "", tree: true }))
  time("search in a tree", () => rows.show({ q: "number 9" }))
  time("by time", () => rows.show({ q: "", tree: false, sort: "-updated" }))
  time("tree by time", () => rows.show({ tree: true }))
  time("one more", () => {
    rows.show({ sort: "key", tree: false })
    rows.add("zzz")
    rows.indexOf("zzz")
  })
  assert.equal(rows.length, 100_001)
  for (const [name, milliseconds] of Object.entries(took))
    assert.ok(milliseconds < 1_500, `${name}: ${milliseconds} ms`)
})
