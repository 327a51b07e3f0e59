// One user's space in memory, as the protocol describes it: the reference for a replica. It answers `sync` in small
// pages, groups its writes into changes, and can be restored from a backup (a new epoch).

import { digest } from "../../static/js/client/digest.js"

export class Space {
  constructor({ pageSize = 3, epoch = "e1" } = {}) {
    this.epoch = epoch
    this.pageSize = pageSize
    this.revision = 0
    this.writes = []
    this.live = new Map()
    this.at = new Map() // key → revision of the write that last touched it
    this.purgedUpTo = 0
  }

  /** Apply ops [{op, key, value?}] as one write; return it. */
  write(ops, origin = { session: "s1", label: "Firefox on Linux", via: "socket" }) {
    this.revision += 1
    const at = new Date(1_800_000_000_000 + this.revision * 1000).toISOString()
    const written = ops.map((op) => {
      this.at.set(op.key, this.revision)
      if (op.op === "delete") {
        this.live.delete(op.key)
        return { op: "delete", key: op.key }
      }
      const version = (this.live.get(op.key)?.version ?? 0) + 1
      this.live.set(op.key, { value: op.value, version, revision: this.revision })
      return { op: "set", key: op.key, value: op.value, version }
    })
    const write = { revision: this.revision, at, origin, ops: written }
    this.writes.push(write)
    return write
  }

  set(key, value) {
    return this.write([{ op: "set", key, value }])
  }

  delete(key) {
    return this.write([{ op: "delete", key }])
  }

  change(from, revision = this.revision) {
    const writes = this.writes.filter((write) => write.revision > from && write.revision <= revision)
    return json({ epoch: this.epoch, from, revision, writes })
  }

  bookmark() {
    return { epoch: this.epoch, revision: this.revision, keys: this.live.size, digest: this.digest() }
  }

  digest() {
    return digest([...this.live].map(([key, { revision }]) => [key, revision]))
  }

  restoredFromBackup(epoch) {
    this.epoch = epoch
    this.write([{ op: "set", key: "restored", value: epoch }])
  }

  sync({ epoch, since, next }) {
    if (next !== undefined) {
      const place = JSON.parse(next)
      if (place.epoch !== this.epoch || place.purged !== this.purgedUpTo) return this.#page(true, 0)
      return this.#page(place.reset, place.from)
    }
    const reachable = epoch === this.epoch && since >= this.purgedUpTo && since <= this.revision
    return reachable ? this.#page(false, since) : this.#page(true, 0)
  }

  #page(reset, from) {
    const touched = [...this.at].filter(([, revision]) => revision > from)
    const revisions = [...new Set(touched.map(([, revision]) => revision))].sort((a, b) => a - b)
    const more = revisions.length > this.pageSize
    const revision = more ? revisions[this.pageSize - 1] : this.revision
    const writes = revisions.slice(0, this.pageSize).map((number) => {
      const write = this.writes[number - 1]
      return { ...write, ops: write.ops.filter((op) => this.at.get(op.key) === number) }
    })
    const next = more ? JSON.stringify({ epoch: this.epoch, purged: this.purgedUpTo, reset, from: revision }) : null
    const proof = more ? {} : { keys: this.live.size, digest: this.digest() }
    return json({ epoch: this.epoch, from, revision, reset, writes, next, ...proof })
  }
}

const json = (value) => JSON.parse(JSON.stringify(value))

/** Create a small seeded generator (mulberry32): the same seed gives the same run. */
export function randomness(seed) {
  const next = () => {
    seed = (seed + 0x6d2b79f5) | 0
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (n) => Math.floor(next() * n)
  return { next, below, chance: (p) => next() < p, pick: (array) => array[below(array.length)] }
}
