import assert from "node:assert/strict"
import { test } from "node:test"

import { Replica } from "../../static/js/client/replica.js"
import { randomness, Space } from "./space.js"

function follower(space) {
  const facts = []
  const replica = new Replica((told) => facts.push(...told))
  syncNow(replica, space)
  facts.length = 0
  return { replica, facts }
}

function syncNow(replica, space) {
  for (let payload = replica.startSync(); payload !== null; ) payload = replica.takePage(space.sync(payload))
}

function assertSame(replica, space) {
  const held = [...replica.entries].map(([key, { value, revision, version }]) => [key, { value, version, revision }])
  assert.deepEqual(new Map(held), space.live)
  assert.equal(replica.revision, space.revision)
  assert.equal(replica.epoch, space.epoch)
  assert.equal(replica.digest, space.digest())
  assert.equal(replica.compare(space.bookmark()), "same")
}

test("a first sync brings the whole space, in pages, and shows nothing before the last", () => {
  const space = new Space({ pageSize: 2 })
  for (let i = 0; i < 7; i++) space.set(`k${i}`, i)
  const replica = new Replica()
  let payload = replica.startSync()
  assert.deepEqual(payload, {})
  let pages = 0
  while (payload !== null) {
    assert.equal(replica.keys, 0)
    payload = replica.takePage(space.sync(payload))
    pages += 1
  }
  assert.equal(pages, 4)
  assertSame(replica, space)
})

test("a change is applied once, in order, and says what it did", () => {
  const space = new Space()
  space.set("a", 1)
  const { replica, facts } = follower(space)
  space.set("a", 2)
  space.delete("a")
  const change = space.change(1)
  assert.equal(replica.apply(change), "applied")
  assert.equal(replica.apply(change), "dropped")
  assertSame(replica, space)
  assert.deepEqual(
    facts.map(({ key, entry, old, revision }) => [key, entry, old.value, revision]),
    [["a", undefined, 1, 3]],
  )
})

test("a change that overlaps is applied from where we are", () => {
  const space = new Space()
  const { replica } = follower(space)
  space.set("a", 1)
  replica.apply(space.change(0))
  space.set("b", 2)
  assert.equal(replica.apply(space.change(0)), "applied")
  assertSame(replica, space)
})

test("a gap asks for a sync, and the sync closes it", () => {
  const space = new Space()
  const { replica } = follower(space)
  space.set("a", 1)
  space.set("b", 2)
  assert.equal(replica.apply(space.change(1)), "lost")
  assert.equal(replica.keys, 0)
  assert.deepEqual(replica.startSync(), { epoch: "e1", since: 0 })
  replica.takePage(space.sync({ epoch: "e1", since: 0 }))
  assertSame(replica, space)
})

test("another epoch asks for a sync from nothing, and the old entries stand until it has come", () => {
  const space = new Space()
  space.set("a", 1)
  const { replica } = follower(space)
  space.restoredFromBackup("e2")
  assert.equal(replica.apply(space.change(1)), "lost")
  assert.equal(replica.entries.get("a").value, 1)
  const payload = replica.startSync()
  assert.deepEqual(payload, {})
  assert.equal(replica.takePage(space.sync(payload)), null)
  assertSame(replica, space)
})

test("pushes during a sync are held back and applied after it", () => {
  const space = new Space({ pageSize: 1 })
  space.set("a", 1)
  space.set("b", 1)
  const replica = new Replica()
  const first = space.sync(replica.startSync())
  const next = replica.takePage(first)
  space.set("a", 2)
  assert.equal(replica.apply(space.change(2)), "held")
  assert.equal(replica.compare(space.bookmark()), "held")
  space.delete("b")
  assert.equal(replica.apply(space.change(3)), "held")
  assert.equal(replica.keys, 0)
  let payload = next
  while (payload !== null) payload = replica.takePage(space.sync(payload))
  assertSame(replica, space)
})

test("a gap among what was held back starts another sync", () => {
  const space = new Space()
  space.set("a", 1)
  const replica = new Replica()
  const page = space.sync(replica.startSync())
  space.set("a", 2)
  space.set("a", 3)
  replica.apply(space.change(2))
  const again = replica.takePage(page)
  assert.deepEqual(again, { epoch: "e1", since: 1 })
  assert.equal(replica.takePage(space.sync(again)), null)
  assertSame(replica, space)
})

test("more pushes than one can hold back lead to another sync", () => {
  const space = new Space()
  const replica = new Replica()
  const page = space.sync(replica.startSync())
  for (let i = 0; i < 1500; i++) {
    space.set("a", i)
    replica.apply(space.change(i))
  }
  let payload = replica.takePage(page)
  assert.notEqual(payload, null)
  while (payload !== null) payload = replica.takePage(space.sync(payload))
  assertSame(replica, space)
})

test("a fresh first page in the middle drops what was collected", () => {
  const space = new Space({ pageSize: 1 })
  for (const key of ["a", "b", "c"]) space.set(key, 1)
  const replica = new Replica()
  let payload = replica.takePage(space.sync(replica.startSync()))
  space.delete("a")
  space.purgedUpTo = space.revision
  space.at.delete("a") // the purge forgets the key: only dropping the collected page removes it
  while (payload !== null) payload = replica.takePage(space.sync(payload))
  assertSame(replica, space)
})

test("what was deleted while we were away is gone after a sync from nothing", () => {
  const space = new Space()
  space.set("a", 1)
  space.set("b", 1)
  const { replica, facts } = follower(space)
  space.delete("a")
  space.purgedUpTo = space.revision
  syncNow(replica, space)
  assertSame(replica, space)
  assert.deepEqual(
    facts.map(({ key, entry, resync }) => [key, entry, resync]),
    [["a", undefined, true]],
  )
})

test("a sync tells only of what it changed", () => {
  const space = new Space()
  for (let i = 0; i < 10; i++) space.set(`k${i}`, i)
  const { replica, facts } = follower(space)
  space.set("k3", "new")
  space.purgedUpTo = space.revision
  syncNow(replica, space)
  assert.deepEqual(
    facts.map(({ key }) => key),
    ["k3"],
  )
})

test("a bookmark ahead of us is a gap, one behind us says nothing", () => {
  const space = new Space()
  const { replica } = follower(space)
  const early = space.bookmark()
  space.set("a", 1)
  assert.equal(replica.compare(space.bookmark()), "lost")
  syncNow(replica, space)
  assert.equal(replica.compare(early), "ignored")
})

test("a bookmark that differs is counted, and healed from nothing", () => {
  const space = new Space()
  space.set("a", 1)
  const { replica } = follower(space)
  assert.equal(replica.compare({ ...space.bookmark(), digest: 7 }), "different")
  assert.equal(replica.differences, 1)
  assert.deepEqual(replica.startSync(), {})
  replica.takePage(space.sync({}))
  assertSame(replica, space)
})

test("a sync whose digest does not fit is not shown, and starts again from nothing", () => {
  const ours = new Space()
  ours.set("a", 1)
  const { replica } = follower(ours)
  const others = new Space() // the same epoch and a later revision, but another space
  others.set("x", 1)
  others.set("y", 1)
  const payload = replica.takePage(others.sync(replica.startSync()))
  assert.deepEqual(payload, {})
  assert.deepEqual([...replica.entries.keys()], ["a"])
  assert.equal(replica.differences, 1)
  assert.equal(replica.takePage(others.sync(payload)), null)
  assertSame(replica, others)
})

test("keys that mean something to JavaScript are ordinary keys", () => {
  const space = new Space()
  const { replica } = follower(space)
  for (const key of ["__proto__", "constructor", "toString", "a//b", ".", "😀"]) space.set(key, key)
  replica.apply(space.change(0))
  assertSame(replica, space)
})

test("whatever the channel loses, repeats or reorders, the replica ends equal to the space", () => {
  const seeds = process.env.RKV_SEED ? [Number(process.env.RKV_SEED)] : Array.from({ length: 300 }, (_, i) => i + 1)
  for (const seed of seeds) {
    try {
      unreliableRun(randomness(seed))
    } catch (error) {
      error.message = `seed ${seed} (RKV_SEED=${seed}): ${error.message}`
      throw error
    }
  }
})

/** Run random writes, pushes lost, repeated and reordered, slow syncs, and lost connections; compare at the end. */
function unreliableRun(random) {
  const space = new Space({ pageSize: 1 + random.below(4) })
  const replica = new Replica(assertAtomic(space))
  const keys = ["a", "b", "c", "__proto__", "é/b", "😀", "～"]
  let channel = [] // pushes in flight
  let asked = null // the sync payload in flight
  let sent = 0 // the revision up to which the server has pushed
  const ask = () => (asked = replica.startSync())
  const follow = (outcome) => {
    if ((outcome === "lost" || outcome === "different") && !replica.syncing) ask()
  }
  ask()
  for (let step = 0; step < 400; step++) {
    const dice = random.next()
    if (dice < 0.4) {
      const chosen = keys.filter(() => random.chance(0.3))
      if (chosen.length)
        space.write(chosen.map((key) => (random.chance(0.3) ? { op: "delete", key } : { op: "set", key, value: step })))
    } else if (dice < 0.6) {
      // One change for several writes, and sometimes one that begins earlier than necessary.
      channel.push(space.change(random.chance(0.1) ? random.below(sent + 1) : sent))
      if (random.chance(0.1)) channel.push(channel.at(-1))
      if (random.chance(0.1)) channel.pop()
      sent = space.revision
    } else if (dice < 0.75 && channel.length) {
      const at = random.chance(0.2) ? random.below(channel.length) : 0
      follow(replica.apply(channel.splice(at, 1)[0]))
    } else if (dice < 0.9 && asked) {
      asked = replica.takePage(space.sync(asked))
    } else if (dice < 0.93) {
      follow(replica.compare(space.bookmark()))
    } else if (dice < 0.96) {
      channel = []
      replica.dropSync()
      ask()
    } else if (dice < 0.97) {
      space.restoredFromBackup(`e${step}`)
      sent = space.revision
    } else if (dice < 0.98) {
      space.purgedUpTo = random.below(space.revision + 1)
    }
  }
  while (channel.length) follow(replica.apply(channel.shift()))
  while (asked) asked = replica.takePage(space.sync(asked))
  follow(replica.compare(space.bookmark()))
  while (asked) asked = replica.takePage(space.sync(asked))
  assertSame(replica, space)
  assert.equal(replica.differences, 0)
}

/** Check that every reported entry matches the server's history: its value is the one written at its revision. */
function assertAtomic(space) {
  return (facts) => {
    for (const { key, entry } of facts) {
      if (!entry) continue
      const op = space.writes[entry.revision - 1].ops.find((op) => op.key === key)
      assert.deepEqual([op.op, op.value], ["set", entry.value])
    }
  }
}

test("with a token limited to a prefix there is no proof: what comes is followed, and what got lost is noticed", () => {
  const replica = new Replica()
  const write = (revision, key) => ({
    revision,
    at: "",
    origin: {},
    ops: [{ op: "set", key, value: revision, version: 1 }],
  })
  const change = (from, revision) => ({ epoch: "e", from, revision, writes: [write(revision, `a/${revision}`)] })
  const page = (from, revision, reset) => ({
    epoch: "e",
    from,
    revision,
    reset,
    writes: [write(revision, `a/${revision}`)],
    next: null,
  })
  replica.startSync()
  assert.equal(replica.takePage(page(0, 4, true)), null)
  assert.equal(replica.compare({ epoch: "e", revision: 4 }), "ignored")
  // The writes between are not sent to this token.
  assert.equal(replica.apply(change(4, 9)), "applied")
  assert.equal(replica.compare({ epoch: "e", revision: 9 }), "ignored")
  assert.deepEqual([...replica.entries.keys()], ["a/4", "a/9"])
  // A change was lost.
  assert.equal(replica.compare({ epoch: "e", revision: 12 }), "lost")
  assert.equal(replica.apply(change(12, 15)), "lost")
  assert.deepEqual(replica.startSync(), { epoch: "e", since: 9 })
  assert.equal(replica.takePage(page(9, 15, false)), null)
  assert.deepEqual([...replica.entries.keys()], ["a/4", "a/9", "a/15"])
  assert.equal(replica.differences, 0)
})
