import assert from "node:assert/strict"
import { test } from "node:test"

import { Outbox, Refusal } from "../../static/js/client/outbox.js"

function outbox(options = {}) {
  const wire = []
  const timers = []
  let ids = 0
  const box = new Outbox({
    send: (verb, payload, answered) => wire.push({ verb, payload, answered }),
    later: (seconds, fn) => {
      const timer = { seconds, fn, cancelled: false, cancel: () => (timer.cancelled = true) }
      timers.push(timer)
      return timer
    },
    makeId: () => `id${++ids}`,
    now: () => 0,
    ...options,
  })
  return { box, wire, timers, sent: () => wire.map(({ payload }) => payload.op_id) }
}

const set = (box, key, value = 1) => box.put("set", { key, value }, [key])

test("a write waits for a connection, and resolves with the answer", async () => {
  const { box, wire } = outbox()
  const done = set(box, "a")
  assert.equal(wire.length, 0)
  assert.deepEqual(box.pending, [
    {
      verb: "set",
      payload: { key: "a", value: 1, op_id: "id1" },
      keys: ["a"],
      prefixes: [],
      epoch: null,
      at: 0,
      sent: false,
    },
  ])
  box.connected()
  wire[0].answered({ ok: true, revision: 1, version: 1 })
  assert.deepEqual(await done, { ok: true, revision: 1, version: 1 })
  assert.deepEqual(box.pending, [])
})

test("after a lost connection the unanswered are sent again, in order, with the same op_id", async () => {
  const { box, wire, sent } = outbox()
  box.connected()
  const first = set(box, "a")
  const second = set(box, "a", 2)
  const answeredLate = wire[0].answered
  box.disconnected()
  const third = set(box, "b")
  box.connected()
  assert.deepEqual(sent(), ["id1", "id2", "id1", "id2", "id3"])
  answeredLate({ ok: true, revision: 99 }) // belongs to the lost connection, so it is ignored
  for (const [i, { answered }] of wire.slice(2).entries()) answered({ ok: true, revision: i + 1, replayed: i === 0 })
  assert.deepEqual(
    (await Promise.all([first, second, third])).map(({ revision }) => revision),
    [1, 2, 3],
  )
})

test("a refusal rejects with its code, its sentence and what it carries", async () => {
  const { box, wire } = outbox()
  box.connected()
  const done = set(box, "a")
  wire[0].answered({ ok: false, error: { code: "conflict", message: "'a' is gone", entry: null } })
  await assert.rejects(done, (error) => {
    assert.ok(error instanceof Refusal)
    assert.deepEqual([error.code, error.message, error.entry], ["conflict", "'a' is gone", null])
    return true
  })
})

test("no more than the limit is on the wire at once", () => {
  const { box, wire } = outbox({ limit: 3 })
  box.connected()
  for (let i = 0; i < 10; i++) set(box, `k${i}`)
  assert.equal(wire.length, 3)
  wire[0].answered({ ok: true })
  assert.equal(wire.length, 4)
  box.disconnected()
  box.connected()
  assert.equal(wire.length, 7)
  assert.deepEqual(
    wire.slice(4).map(({ payload }) => payload.key),
    ["k1", "k2", "k3"],
  )
})

test("a busy server is asked again after the time it names, and nothing overtakes meanwhile", async () => {
  const { box, wire, timers, sent } = outbox()
  box.connected()
  const done = set(box, "a")
  wire[0].answered({ ok: false, error: { code: "unavailable", message: "busy", retry_after: 3 } })
  const later = set(box, "a", 2)
  assert.equal(wire.length, 1)
  assert.equal(timers[0].seconds, 3)
  timers[0].fn()
  assert.deepEqual(sent(), ["id1", "id1", "id2"])
  wire[1].answered({ ok: true, revision: 1 })
  wire[2].answered({ ok: true, revision: 2 })
  assert.deepEqual([(await done).revision, (await later).revision], [1, 2])
})

test("it is not repeated once a later write to the same key is out", async () => {
  const { box, wire } = outbox()
  box.connected()
  const early = set(box, "a")
  set(box, "a", 2)
  wire[0].answered({ ok: false, error: { code: "unavailable", message: "busy" } })
  await assert.rejects(early, { code: "unavailable" })
})

test("what is done to a whole prefix is not repeated once a later write under it is out, nor the other way round", async () => {
  const busy = { ok: false, error: { code: "unavailable", message: "busy" } }
  const { box, wire } = outbox()
  box.connected()
  const clear = (prefix) => box.put("delete_prefix", { prefix }, [], [prefix])
  const repeated = clear("b/")
  const whole = clear("a/")
  const inner = clear("a/b/")
  const one = set(box, "a/b/new")
  clear("a/b/n")
  for (const { answered } of wire.slice(0, 4)) answered(busy)
  for (const refused of [whole, inner, one]) await assert.rejects(refused, { code: "unavailable" })
  assert.deepEqual(
    box.pending.map(({ payload }) => payload.prefix),
    ["b/", "a/b/n"],
  )
  box.disconnected()
  box.connected()
  wire.at(-2).answered({ ok: true, revision: 1, count: 0 })
  assert.equal((await repeated).count, 0)
})

test("it is not repeated for ever", async () => {
  const { box, wire, timers } = outbox()
  box.connected()
  const done = set(box, "a")
  for (let i = 0; i < 6; i++) {
    wire[i].answered({ ok: false, error: { code: "rate_limited", message: "slow down", retry_after: 1 } })
    timers[i]?.fn()
  }
  await assert.rejects(done, { code: "rate_limited" })
  assert.equal(wire.length, 6)
})

test("a wait ends with the connection", () => {
  const { box, wire, timers } = outbox()
  box.connected()
  set(box, "a")
  wire[0].answered({ ok: false, error: { code: "unavailable", message: "busy" } })
  box.disconnected()
  assert.ok(timers[0].cancelled)
  box.connected()
  assert.equal(wire.length, 2)
})

test("when there will be no connection any more, every waiting write fails", async () => {
  const { box } = outbox()
  const one = set(box, "a")
  box.connected()
  const two = set(box, "b")
  box.fail(new Refusal({ code: "unauthenticated", message: "You were signed out." }))
  await assert.rejects(one, { code: "unauthenticated" })
  await assert.rejects(two, { code: "unauthenticated" })
  assert.deepEqual(box.pending, [])
})

test("it knows what is on its way", () => {
  const { box } = outbox()
  set(box, "a")
  assert.equal(
    box.awaits(({ keys }) => keys.includes("a")),
    false,
  )
  box.connected()
  assert.equal(
    box.awaits(({ keys }) => keys.includes("a")),
    true,
  )
})

test("what is on the wire when another data set turns up is the server's to judge", async () => {
  const held = { dataSet: "e1", entries: new Map() }
  const { box, wire } = outbox({ held })
  box.connected()
  const done = box.put("set", { key: "a", value: 1, if_revision: 1 }, ["a"])
  const other = set(box, "b")
  held.dataSet = "e2"
  box.connected()
  for (const [i, { answered }] of wire.entries()) answered({ ok: true, revision: i + 1 })
  assert.deepEqual([(await done).revision, (await other).revision], [1, 2])
})

const DAY = 86_400_000

test("a write that cannot fit a message is rejected before it is queued, whatever its characters take", async () => {
  const { box, wire } = outbox()
  box.limits = { message: 1_000, batch: 128 }
  box.connected()
  for (const value of ["x".repeat(1_000), "é".repeat(460)]) {
    await assert.rejects(set(box, "a", value), ({ code, limit, actual }) => {
      assert.deepEqual([code, limit], ["too_large", 1_000])
      assert.ok(actual > 1_000 && actual < 1_150, `${actual}`)
      return true
    })
  }
  set(box, "a", "x".repeat(850))
  assert.equal(wire.length, 1)
  assert.equal(box.pending.length, 1)
})

test("a write that was queued under other limits is rejected when it would be sent, and later writes go on", async () => {
  const { box, wire } = outbox()
  const large = set(box, "a", "x".repeat(2_000))
  set(box, "b")
  box.limits = { message: 1_000, batch: 128 }
  box.connected()
  await assert.rejects(large, { code: "too_large" })
  assert.deepEqual(
    wire.map(({ payload }) => payload.key),
    ["b"],
  )
})

test("a write whose sending ends the connection twice is quarantined, and later writes go on", async () => {
  const told = []
  const { box, wire } = outbox({ quarantines: ({ payload }) => told.push(payload.op_id) })
  const writes = ["a", "b", "c", "d"].map((key) => set(box, key))
  const keys = (from) => wire.slice(from).map(({ payload }) => payload.key)
  box.connected()
  assert.deepEqual(keys(0), ["a", "b", "c", "d"])
  box.disconnected({ byPeer: true })
  // One by one, to find the cause.
  box.connected()
  assert.deepEqual(keys(4), ["a"])
  wire[4].answered({ ok: true, revision: 1 })
  assert.deepEqual(keys(5), ["b", "c"])
  box.disconnected({ byPeer: true })
  for (const _ of [1, 2]) {
    box.connected()
    assert.deepEqual(wire.at(-1).payload.key, "b")
    box.disconnected({ byPeer: true })
  }
  await assert.rejects(writes[1], { code: "quarantined", op_id: "id2" })
  assert.deepEqual(told, ["id2"])
  assert.deepEqual(
    box.pending.map(({ payload }) => payload.key),
    ["c", "d"],
  )
  assert.deepEqual(
    box.quarantined.map(({ payload }) => payload.op_id),
    ["id2"],
  )
  box.connected()
  wire.at(-1).answered({ ok: true, revision: 2 })
  wire.at(-1).answered({ ok: true, revision: 3 })
  assert.deepEqual(
    await Promise.all([writes[0], writes[2], writes[3]].map(async (write) => (await write).revision)),
    [1, 2, 3],
  )
  // A retry sends the same write.
  const again = box.retry("id2")
  assert.equal(wire.at(-1).payload.op_id, "id2")
  wire.at(-1).answered({ ok: true, revision: 4 })
  assert.equal((await again).revision, 4)
  assert.deepEqual(box.quarantined, [])
})

test("a connection that is lost on the way accuses no write", async () => {
  let now = 0
  const { box, wire } = outbox({ now: () => now })
  const done = set(box, "a")
  const lost = [
    { byPeer: false },
    { byPeer: true, after: 3_000 },
    { byPeer: false },
    { byPeer: true, after: 3_000 },
    {},
    { byPeer: true },
  ]
  for (const { byPeer, after = 0 } of lost) {
    box.connected()
    now += after
    box.disconnected({ byPeer })
  }
  box.connected()
  wire.at(-1).answered({ ok: true, revision: 1 })
  assert.equal((await done).revision, 1)
})

test("a quarantined write can be discarded, and one of an earlier page is held", () => {
  const { box, wire } = outbox()
  box.connected()
  box.hold({
    verb: "set",
    payload: { key: "a", value: 1, op_id: "old" },
    keys: ["a"],
    prefixes: [],
    epoch: null,
    at: 0,
  })
  assert.equal(wire.length, 0)
  assert.equal(box.quarantined.length, 1)
  box.discard("old")
  assert.deepEqual(box.quarantined, [])
  assert.throws(() => box.discard("old"), TypeError)
})

test("what may have been written longer ago than the server remembers is reported and not repeated", async () => {
  let now = 0
  const { box, wire } = outbox({ now: () => now })
  box.connected()
  const put = (verb, payload) => box.put(verb, payload, [])
  const unknown = [
    put("set", { key: "a", value: 1 }),
    put("set", { key: "b", value: 1, if_revision: 0 }),
    put("delete_prefix", { prefix: "c/" }),
    put("undo", { revision: 4 }),
    put("batch", {
      ops: [
        { op: "delete", key: "d", if_revision: 3 },
        { op: "delete", key: "e" },
      ],
    }),
  ]
  const guarded = put("set", { key: "f", value: 1, if_revision: 7 })
  const batch = put("batch", { ops: [{ op: "delete", key: "g", if_revision: 3 }] })
  const first = wire.length
  box.disconnected()
  now += 6 * DAY + 1
  box.connected()
  for (const write of unknown) await assert.rejects(write, { code: "unknown_outcome" })
  assert.deepEqual(
    wire.slice(first).map(({ payload }) => payload.op_id),
    ["id6", "id7"],
  )
  wire.at(-2).answered({ ok: false, error: { code: "conflict", entry: null } })
  wire.at(-1).answered({ ok: true, revision: 8 })
  await assert.rejects(guarded, { code: "conflict" })
  assert.equal((await batch).revision, 8)
})

test("what was never sent is not unknown: it is refused after six days unless it names what it replaces", async () => {
  let now = 0
  const { box, wire } = outbox({ now: () => now })
  const plain = set(box, "a")
  box.put("set", { key: "b", value: 1, if_revision: 0 }, ["b"])
  now += 6 * DAY + 1
  box.connected()
  await assert.rejects(plain, { code: "unavailable" })
  assert.deepEqual(
    wire.map(({ payload }) => payload.key),
    ["b"],
  )
})

test("what another tab has left behind may have been sent by it", async () => {
  const { box } = outbox({ now: () => 7 * DAY })
  const adopted = box.put("set", { key: "a", value: 1, if_revision: 0 }, ["a"], [], null, 0)
  box.connected()
  await assert.rejects(adopted, { code: "unknown_outcome" })
})

test("a write that is refused because the session has ended waits for the next one", async () => {
  let ended = 0
  const { box, wire } = outbox({ ended: () => (ended += 1) })
  box.connected()
  const one = set(box, "a")
  const two = set(box, "b")
  wire[0].answered({ ok: false, error: { code: "unauthenticated", message: "Sign in first." } })
  set(box, "c")
  assert.equal(wire.length, 2)
  assert.equal(ended, 1)
  box.disconnected()
  box.connected()
  assert.deepEqual(
    wire.slice(2).map(({ payload }) => payload.key),
    ["a", "b", "c"],
  )
  wire[2].answered({ ok: true, revision: 1 })
  wire[3].answered({ ok: true, revision: 2 })
  assert.deepEqual([(await one).revision, (await two).revision], [1, 2])
})
