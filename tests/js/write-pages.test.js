import assert from "node:assert/strict"
import { test } from "node:test"

import { WritePages } from "../../static/js/dashboard/history/write-pages.js"
import { randomness } from "./space.js"

/** A history like the server's: writes can be added, and pages are cut short as long values would. */
class Log {
  writes = []
  asked = 0
  refusal = null

  constructor(shortest = Infinity) {
    this.shortest = shortest
  }

  write(count = 1) {
    for (let n = 0; n < count; n++) this.writes.unshift({ revision: this.writes.length + 1 })
  }

  ask = async ({ before = Infinity, limit }) => {
    this.asked += 1
    if (this.refusal) throw this.refusal
    return {
      writes: this.writes.filter(({ revision }) => revision < before).slice(0, Math.min(limit, this.shortest)),
      floor: 1,
    }
  }
}

const revisions = ({ list }) => list.map(({ revision }) => revision)
const down = (from, to) => Array.from({ length: from - to + 1 }, (_, i) => from - i)

test("the newest page comes first, then older ones, until there are no more", async () => {
  const log = new Log()
  log.write(25)
  const writes = new WritePages(log.ask, () => {}, 10)
  await writes.older()
  assert.deepEqual(revisions(writes), down(25, 16))
  await writes.older()
  assert.ok(!writes.ended)
  await writes.older()
  assert.deepEqual(revisions(writes), down(25, 1))
  assert.ok(writes.ended)
  const { asked } = log
  await writes.older()
  assert.equal(log.asked, asked)
})

test("a page that long values cut short is not taken for the last", async () => {
  const log = new Log(3)
  log.write(9)
  const writes = new WritePages(log.ask, () => {}, 10)
  await writes.older()
  assert.ok(!writes.ended)
  while (!writes.ended) await writes.older()
  assert.deepEqual(revisions(writes), down(9, 1))
})

test("what is new joins what is known without a gap, or begins anew", async () => {
  const log = new Log()
  log.write(5)
  const writes = new WritePages(log.ask, () => {}, 10)
  await writes.newer()
  log.write(15)
  await writes.newer()
  assert.deepEqual(revisions(writes), down(20, 1))
  log.write(100)
  await writes.newer()
  assert.deepEqual(revisions(writes), down(120, 101))
  assert.ok(!writes.ended)
  while (!writes.ended) await writes.older()
  assert.deepEqual(revisions(writes), down(120, 1))
})

test("whatever is asked for in whatever order, there is never a gap and never one twice", async () => {
  const random = randomness(5)
  for (let round = 0; round < 50; round++) {
    const log = new Log(random.pick([1, 3, Infinity]))
    log.write(random.pick([0, 1, 7, 40]))
    const writes = new WritePages(log.ask, () => {}, random.pick([2, 5, 20]))
    for (let step = 0; step < 20; step++) {
      if (random.chance(0.4)) log.write(random.pick([1, 2, 30]))
      await Promise.all([random.chance(0.5) ? writes.newer() : writes.older(), random.chance(0.5) && writes.newer()])
      const seen = revisions(writes)
      assert.deepEqual(seen, seen.length === 0 ? [] : down(seen[0], seen.at(-1)))
    }
    await writes.newer()
    assert.equal(writes.newest, log.writes.length)
  }
})

test("a refusal is told and changes nothing; asking again mends it", async () => {
  const log = new Log()
  log.write(3)
  const writes = new WritePages(log.ask, () => {}, 10)
  await writes.older()
  log.refusal = new Error("busy")
  log.write()
  await writes.newer()
  assert.equal(writes.refusal, log.refusal)
  assert.deepEqual(revisions(writes), [3, 2, 1])
  log.refusal = null
  await writes.newer()
  assert.equal(writes.refusal, null)
  assert.deepEqual(revisions(writes), [4, 3, 2, 1])
})

test("an answer that belongs to another data set is dropped", async () => {
  const log = new Log()
  log.write(3)
  const writes = new WritePages(log.ask, () => {}, 10)
  const late = writes.older()
  writes.reset()
  await late
  assert.deepEqual([writes.list, writes.loaded, writes.asking], [[], false, null])
})

test("a flood does not fill the memory: what is oldest is let go, and asked for again", async () => {
  const log = new Log()
  const writes = new WritePages(log.ask, () => {}, 100)
  for (let n = 0; n < 25; n++) {
    log.write(100)
    await writes.newer()
  }
  assert.deepEqual(revisions(writes), down(2_500, 501))
  assert.ok(!writes.ended)
  while (!writes.ended) await writes.older()
  assert.deepEqual(revisions(writes), down(2_500, 1))
})
