// The verbs of the protocol as methods: builds their payloads and names the keys that a write touches, as far as known.

import { copyOf } from "./json-values.js"
import { problemWithKey } from "./keys.js"
import { Refusal } from "./outbox.js"

/**
 * @import { Events } from "./client.js"
 * @import { Json } from "./json-values.js"
 * @import { Payload } from "./outbox.js"
 * @import { Entry, Origin, WriteFrame } from "./replica.js"
 */
/** @typedef {{ revision: number, version: number, replayed?: boolean }} WriteResult */
/** @typedef {{ revision: number, existed: boolean, replayed?: boolean }} DeleteResult */
/** @typedef {{ revision: number, count: number, replayed?: boolean }} CountResult */
/**
 * @typedef {{
 *   revision: number, results: ({ version: number } | { existed: boolean })[], replayed?: boolean
 * }} BatchResult
 */
/** @typedef {{ ifRevision?: number, ttl?: number | null }} SetOptions */
/**
 * @typedef {{ op: "set", key: string, value: Json, ifRevision?: number, ttl?: number | null }
 *   | { op: "delete", key: string, value?: undefined, ifRevision?: number }} BatchOp
 */
/** @typedef {{ dryRun?: boolean }} DryRunOptions */
/** @typedef {{ writes: WriteFrame[], floor: number }} HistoryPage */
/**
 * @typedef {Pick<Entry, "key" | "value" | "revision" | "version" | "origin">
 *   & { deleted_at: string, purge_at: string }} TrashEntry
 */
/** @typedef {{ entries: TrashEntry[], next: string | null, revision: number }} TrashPage */

export class Verbs extends /** @type {new () => Events} */ (EventTarget) {
  #put
  #ask
  #keys

  /**
   * `put(verb, payload, keys, prefixes)` sends a write, `ask(verb, payload)` a reading request; both resolve to the
   * answer. `keys(prefix)` returns the replica's keys.
   *
   * @param {{
   *   put(verb: string, payload: Payload, keys: string[], prefixes?: string[]): Promise<any>,
   *   ask(verb: string, payload: Payload): Promise<any>,
   *   keys(prefix: string): string[],
   * }} parts
   */
  constructor({ put, ask, keys }) {
    super()
    this.#put = put
    this.#ask = ask
    this.#keys = keys
  }

  /**
   * Write `value` under `key`. Resolves to {revision, version} once the write is durable. Rejects with a Refusal, e.g.
   * `conflict` (with the current `entry`) if `ifRevision` does not match; 0 means "only if the key does not exist".
   * `ttl` is in seconds. While there is no connection the write waits in `pending`.
   * @param {string} key
   * @param {Json} value
   * @param {SetOptions} options
   * @returns {Promise<WriteResult>}
   */
  async set(key, value, options = {}) {
    return this.#put("set", { key: sound(key), value: copyOf(value), ...wireOptions(options, ["ifRevision", "ttl"]) }, [
      key,
    ])
  }

  /**
   * Delete `key`. Resolves to {revision, existed}. Deleting a missing key is no error.
   * @param {string} key
   * @param {{ ifRevision?: number }} options
   * @returns {Promise<DeleteResult>}
   */
  async delete(key, options = {}) {
    return this.#put("delete", { key: sound(key), ...wireOptions(options, ["ifRevision"]) }, [key])
  }

  /**
   * Apply 1–128 ops as one write, all or nothing: [{op: "set", key, value, ifRevision?, ttl?}, {op: "delete", key,
   * ifRevision?}]. Resolves to {revision, results}.
   * @param {BatchOp[]} ops
   * @returns {Promise<BatchResult>}
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

  /**
   * Delete every key that begins with `prefix` (all keys if it is ""), as one write. Resolves to {revision, count}.
   * @param {string} prefix
   * @param {DryRunOptions} options
   * @returns {Promise<CountResult>}
   */
  async deletePrefix(prefix, { dryRun = false, ...others } = {}) {
    wireOptions(others, [])
    if (dryRun) return this.#ask("delete_prefix", { prefix, dry_run: true })
    return this.#put("delete_prefix", { prefix }, this.#keys(prefix), [prefix])
  }

  /**
   * Rename a key, or, if both arguments end in "/", move all keys under a prefix: one write, up to 1000 keys. Resolves
   * to {revision, count}. Rejects with a Refusal: `conflict`, with the existing `entry` at the target; nothing is
   * overwritten. With `dryRun` it only reports whether the move is possible, and the number of keys.
   * @param {string} from
   * @param {string} to
   * @param {DryRunOptions} [options]
   * @returns {Promise<CountResult>}
   */
  async move(from, to, options) {
    return this.#place("move", from, to, options)
  }

  /**
   * Like `move`, but keep the source.
   * @param {string} from
   * @param {string} to
   * @param {DryRunOptions} [options]
   * @returns {Promise<CountResult>}
   */
  async copy(from, to, options) {
    return this.#place("copy", from, to, options)
  }

  /**
   * Write an earlier value again: the last one of a deleted key, or the one that a key had at `revision`. Resolves to
   * {revision, version}; rejects with a Refusal, `not_found` if it has been purged.
   * @param {string} key
   * @param {{ revision?: number, ifRevision?: number }} options
   * @returns {Promise<WriteResult>}
   */
  async restore(key, options = {}) {
    return this.#put("restore", { key: sound(key), ...wireOptions(options, ["revision", "ifRevision"]) }, [key])
  }

  /**
   * Undo the write of `revision`: restore everything that it replaced. Resolves to {revision, count}. Rejects with a
   * Refusal: `conflict` (with `key`, and its `entry` or null) if a key was written since, `not_found` if the write is
   * too old. With `dryRun` it only reports whether the undo is possible, and the number of keys.
   * @param {number} revision
   * @param {DryRunOptions} options
   * @returns {Promise<CountResult>}
   */
  async undo(revision, { dryRun = false, ...others } = {}) {
    wireOptions(others, [])
    if (dryRun) return this.#ask("undo", { revision, dry_run: true })
    // Only the server knows the keys.
    return this.#put("undo", { revision }, [])
  }

  /**
   * Read the writes before the revision `before`, newest first: {writes: [{revision, at, origin, ops}], floor}. With a
   * `key`, only its writes. An empty page means the end; the history is complete from `floor` on.
   * @param {{ key?: string, before?: number, limit?: number }} options
   * @returns {Promise<HistoryPage>}
   */
  async history(options = {}) {
    return this.#ask("history", wireOptions(options, ["key", "before", "limit"]))
  }

  /**
   * Read the deleted keys that can be restored, in byte order: {entries: [{key, value, revision, version, deleted_at,
   * purge_at, origin}], next, revision}; `next` is the `after` of the next page, or null.
   * @param {{ prefix?: string, after?: string, limit?: number }} options
   * @returns {Promise<TrashPage>}
   */
  async trash(options = {}) {
    return this.#ask("trash", wireOptions(options, ["prefix", "after", "limit"]))
  }

  /**
   * @param {"move" | "copy"} verb
   * @param {string} from
   * @param {string} to
   * @param {DryRunOptions} options
   * @returns {Promise<CountResult>}
   */
  async #place(verb, from, to, { dryRun = false, ...others } = {}) {
    wireOptions(others, [])
    const payload = { from: sound(from), to: sound(to) }
    if (dryRun) return this.#ask(verb, { ...payload, dry_run: true })
    const sources = from.endsWith("/") ? this.#keys(from) : [from]
    const targets = sources.map((key) => to + key.slice(from.length))
    return this.#put(verb, payload, verb === "move" ? [...sources, ...targets] : targets, [from, to])
  }
}

/** @param {string} key */
function sound(key) {
  const problem = problemWithKey(key)
  if (problem) throw new Refusal({ code: "invalid_key", message: problem })
  return key
}

/** @type {Record<string, string>} */
const WIRE_NAMES = { ifRevision: "if_revision" }

/** @param {Record<string, unknown>} options @param {string[]} known */
function wireOptions(options, known) {
  /** @type {Record<string, unknown>} */
  const wire = {}
  for (const [name, value] of Object.entries(options)) {
    if (!known.includes(name)) throw new TypeError(`unknown option: ${name}`)
    if (value !== undefined) wire[WIRE_NAMES[name] ?? name] = value
  }
  return wire
}
