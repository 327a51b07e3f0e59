// The loaded versions of one key, and the two that are compared. No DOM.

import { same } from "../../client/json-values.js"
import { countLines, diffLines } from "../shared/diff.js"
import { formatJson } from "../shared/json-text.js"
import { kindsOf } from "./change-kinds.js"
import { WriteFollower } from "./write-follower.js"
import { WritePages } from "./write-pages.js"

/**
 * @import { Client } from "../../client/client.js"
 * @import { Route } from "../route.js"
 */

const PAGE = 25
const MOST_COUNTED = 200_000 // characters of two texts, above which the changed lines are not counted

export class Versions {
  #kv
  #follower
  #writes
  #apart = new Map() // revision → {version, before}: versions beyond the loaded ones; undefined while requested
  /** @type {{ list: object | null, ended?: boolean, versions: any[] }} */
  #made = { list: null, versions: [] }

  /** @param {Client} kv @param {string} key */
  constructor(kv, redraw, key) {
    this.key = key
    this.#kv = kv
    const ask = (page) => kv.history({ key, ...page })
    this.#writes = new WritePages(ask, redraw, PAGE)
    this.#follower = new WriteFollower(kv, this.#writes, () => this.#apart.clear())
  }

  get writes() {
    return this.#writes
  }

  /** Keep the versions up to date. Call with every draw. */
  look() {
    this.#follower.look(() => this.#isBehind())
  }

  again() {
    this.#follower.again()
  }

  /**
   * Newest first: [{revision, at, origin, undoes, op, kind, like, lines}]. `like` is an earlier revision with the same
   * value, which this one went back to; `lines` {gone, added} counts the changed lines, or is null.
   */
  get list() {
    const { list, ended } = this.#writes
    if (this.#made.list !== list || this.#made.ended !== ended)
      this.#made = { list, ended, versions: versionsOf(list, ended) }
    return this.#made.versions
  }

  /**
   * Return the version of a revision; undefined while it is requested, null if there is none.
   * @param {number} revision
   */
  at(revision) {
    const found = this.list.find((version) => version.revision === revision)
    if (found || !this.#writes.loaded) return found
    if (revision > this.#writes.newest || this.#writes.ended) return null
    return this.#beyond(revision)?.version
  }

  /**
   * Return the compared revisions, {from, to}: by default the last two; `to` alone is compared with the version that it
   * replaced. `from` is null if there was none, undefined while it is requested.
   * @param {Route} route
   */
  pair(route) {
    const to = route.to ?? (route.from === null ? (this.list[0]?.revision ?? null) : this.#after(route.from))
    return { from: route.from ?? (to === null ? null : this.#before(to)), to }
  }

  /**
   * Return the pair one step back (1) or forward (-1) in time; null at the end.
   * @param {Route} route
   */
  step(route, by) {
    const { to } = this.pair(route)
    const next = this.list[this.list.findIndex(({ revision }) => revision === to) + by]
    return to === null || !next ? null : { from: null, to: next.revision }
  }

  #before(to) {
    const before = this.list.find(({ revision }) => revision < to)
    if (before || this.#writes.ended) return before?.revision ?? null
    return this.#beyond(to)?.before
  }

  #after(from) {
    return this.list.findLast(({ revision }) => revision > from)?.revision ?? from
  }

  #isBehind() {
    const entry = this.#kv.entry(this.key)
    const [last] = this.#writes.list
    return entry ? entry.revision > this.#writes.newest : last?.ops[0].op === "set"
  }

  /** @param {number} revision */
  #beyond(revision) {
    if (!this.#apart.has(revision)) {
      this.#apart.set(revision, undefined)
      this.#writes.peek(revision, ([write, before]) => {
        const there = write?.revision === revision
        this.#apart.set(revision, {
          version: there ? versionOf(write) : null,
          before: (there ? before : write)?.revision ?? null,
        })
      })
    }
    return this.#apart.get(revision)
  }
}

/** Return the values of two ops as texts to compare, null if there is none. If all are texts, they have no quotes. */
export function textsOf(...ops) {
  const values = ops.filter((op) => op?.op === "set").map(({ value }) => value)
  const plain = values.every((value) => typeof value === "string")
  return ops.map((op) => (op?.op === "set" ? (plain ? op.value : formatJson(op.value)) : null))
}

const versionOf = (write) => ({ ...write, op: write.ops[0] })

function versionsOf(writes, ended) {
  const kinds = kindsOf(writes)
  const versions = writes.map((write, i) => ({ ...versionOf(write), kind: kinds[i][0].kind }))
  versions.forEach((version, i) => {
    const before = versions[i + 1]?.op
    const known = before !== undefined || ended || version.op.version === 1
    version.lines = known ? linesOf(before, version.op) : null
    version.like = version.op.op === "set" && before && version.kind !== "set again" ? likeOf(versions, i) : null
  })
  return versions
}

/** @param {any[]} versions */
function likeOf(versions, at) {
  const { value } = versions[at].op
  const like = versions.slice(at + 1).find(({ op }) => op.op === "set" && same(op.value, value))
  return like?.revision ?? null
}

const counted = new WeakMap() // op → {before, lines}: cached counts

function linesOf(before, op) {
  const known = counted.get(op)
  if (known && known.before === before) return known.lines
  const [a, b] = textsOf(before, op)
  const lines = (a?.length ?? 0) + (b?.length ?? 0) > MOST_COUNTED ? null : countLines(diffLines(a, b))
  counted.set(op, { before, lines })
  return lines
}
