// The verbs of the protocol as methods: what is said on the wire, and which keys a write touches as far as this tab knows.

import { problemWithKey } from "./keys.js"
import { Refusal } from "./outbox.js"
import { copyOf } from "./values.js"

export class Verbs extends EventTarget {
  #put
  #ask
  #keys

  /**
   * `put(verb, payload, keys, prefixes)` sends a write, `ask(verb, payload)` a question; both resolve to the answer. `keys(prefix)` are
   * those that this tab holds.
   */
  constructor({ put, ask, keys }) {
    super()
    this.#put = put
    this.#ask = ask
    this.#keys = keys
  }

  /**
   * Writes, and resolves to {revision, version} once that is durable. Rejects with a Refusal, e.g. `conflict` (with the
   * current `entry`) when `ifRevision` does not hold; 0 means "only if the key does not exist". `ttl` is in seconds.
   * While there is no connection the write waits in `pending`.
   */
  async set(key, value, options = {}) {
    return this.#put("set", { key: sound(key), value: copyOf(value), ...wireOptions(options, ["ifRevision", "ttl"]) }, [key])
  }

  /** Deletes, and resolves to {revision, existed}. Deleting what is not there is no error. */
  async delete(key, options = {}) {
    return this.#put("delete", { key: sound(key), ...wireOptions(options, ["ifRevision"]) }, [key])
  }

  /**
   * One write of 1–128 ops, all or nothing: [{op: "set", key, value, ifRevision?, ttl?}, {op: "delete", key, ifRevision?}].
   * Resolves to {revision, results}.
   */
  async batch(ops) {
    const wire = ops.map(({ op, key, value, ...options }) => {
      if (op === "set")
        return { op, key: sound(key), value: copyOf(value), ...wireOptions(options, ["ifRevision", "ttl"]) }
      return { op, key: sound(key), ...wireOptions(options, ["ifRevision"]) }
    })
    return this.#put(
      "batch",
      { ops: wire },
      wire.map(({ key }) => key),
    )
  }

  /** Deletes every key that begins with `prefix` (all of them, when it is ""), as one write; resolves to {revision, count}. */
  async deletePrefix(prefix, { dryRun = false, ...others } = {}) {
    wireOptions(others, [])
    if (dryRun) return this.#ask("delete_prefix", { prefix, dry_run: true })
    return this.#put("delete_prefix", { prefix }, this.#keys(prefix), [prefix])
  }

  /**
   * Gives one key another name, or, when both end in "/", everything under a prefix another place: one write, up to 1000
   * keys. Resolves to {revision, count}. Rejects with a Refusal: `conflict`, with the `entry` that is there already; nothing
   * is written over. With `dryRun` it only says whether it could, and how many keys that are.
   */
  async move(from, to, options) {
    return this.#place("move", from, to, options)
  }

  /** As `move`, and what is there stays. */
  async copy(from, to, options) {
    return this.#place("copy", from, to, options)
  }

  /**
   * Writes an earlier value again: of a deleted key the last, of any key the one that it had at `revision`. Resolves to
   * {revision, version}; rejects with a Refusal, `not_found` for what has been purged.
   */
  async restore(key, options = {}) {
    return this.#put("restore", { key: sound(key), ...wireOptions(options, ["revision", "ifRevision"]) }, [key])
  }

  /**
   * Puts back what the write of `revision` replaced, all of it, and resolves to {revision, count}. Rejects with a Refusal:
   * `conflict` (with `key`, and its `entry` or null) where somebody has written since, `not_found` for what is too long
   * ago. With `dryRun` it only says whether it could, and how many keys that are.
   */
  async undo(revision, { dryRun = false, ...others } = {}) {
    wireOptions(others, [])
    if (dryRun) return this.#ask("undo", { revision, dry_run: true })
    // which keys these are the server knows
    return this.#put("undo", { revision }, [])
  }

  /**
   * Asks for what was written before the revision `before`, newest first: {writes: [{revision, at, origin, ops}], floor}. With
   * a `key` only what was done to it. A page is empty when there are no more; they are complete from `floor` on.
   */
  async history(options = {}) {
    return this.#ask("history", wireOptions(options, ["key", "before", "limit"]))
  }

  /**
   * Asks for deleted keys that can be restored, in byte order: {entries: [{key, value, revision, version, deleted_at, purge_at,
   * origin}], next, revision}; `next` is the `after` of the next page, or null.
   */
  async trash(options = {}) {
    return this.#ask("trash", wireOptions(options, ["prefix", "after", "limit"]))
  }

  async #place(verb, from, to, { dryRun = false, ...others } = {}) {
    wireOptions(others, [])
    const payload = { from: sound(from), to: sound(to) }
    if (dryRun) return this.#ask(verb, { ...payload, dry_run: true })
    const sources = from.endsWith("/") ? this.#keys(from) : [from]
    const targets = sources.map((key) => to + key.slice(from.length))
    return this.#put(verb, payload, verb === "move" ? [...sources, ...targets] : targets, [from, to])
  }
}

function sound(key) {
  const problem = problemWithKey(key)
  if (problem) throw new Refusal({ code: "invalid_key", message: problem })
  return key
}

const WIRE_NAMES = { ifRevision: "if_revision" }

function wireOptions(options, known) {
  const wire = {}
  for (const [name, value] of Object.entries(options)) {
    if (!known.includes(name)) throw new TypeError(`unknown option: ${name}`)
    if (value !== undefined) wire[WIRE_NAMES[name] ?? name] = value
  }
  return wire
}
