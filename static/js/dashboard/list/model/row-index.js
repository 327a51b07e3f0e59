// Maps keys and folders to row numbers. No DOM.
// 1. All keys are kept in byte order, updated with every change.
// 2. The shown rows are rebuilt when they are drawn after a change, but take at most a tenth of the time.

import { place, sortKeys } from "../../../client/keys.js"
import { fold } from "../../shared/texts.js"
import { endOf, flatten } from "./tree.js"

/**
 * @import { HeldEntry } from "../../../client/replica.js"
 * @import { inOrder } from "./sort.js"
 * @import { TextIndex } from "./text-index.js"
 */
/** @typedef {{ prefix: string, q: string, sort: string, tree: boolean, only: Set<string> | null }} View */

const REST = 10 // pause between two rebuilds, as a multiple of the duration of the last one
const MAKING = 20 // milliseconds for the texts of values, after which the rows are shown without them

export class RowIndex {
  /** @type {string[]} */
  #all = []
  /** @type {TextIndex | null} */
  #texts = null // see equip
  /** @type {typeof inOrder} */
  #inOrder = (keys) => keys
  #held // key → entry
  #isOpen
  /** @type {View} */
  #view = { prefix: "", q: "", sort: "key", tree: false, only: null }
  #keys = this.#all // the matching keys, including those hidden in a folder; the same array as #all where possible
  /** @type {ReturnType<typeof flatten> | null} */
  #tree = null
  #stale = false
  #rested = 0 // when the rows may be rebuilt again

  /**
   * `held(key)` returns the entry of a key, `isOpen(folder, count, of)` whether a folder with `count` of the `of` keys
   * shows its contents.
   *
   * @param {(key: string) => HeldEntry | undefined} held
   * @param {(folder: string, count: number, of: number) => boolean} isOpen
   */
  constructor(held = () => undefined, isOpen = () => true) {
    this.#held = held
    this.#isOpen = isOpen
  }

  /**
   * Enable search in values and sorting, with the exports of search-bundle.js; before, keys are in byte order.
   * @param {typeof import("./search-bundle.js")} bundle
   */
  equip({ TextIndex, inOrder }) {
    this.#texts = new TextIndex()
    this.#inOrder = inOrder
    this.make()
  }

  /** Whether a search left out values whose texts do not exist yet. */
  partial = false

  get length() {
    return this.#ids.length
  }
  get total() {
    return this.#all.length
  }
  /** The matching keys, shown or hidden in a folder, in the order of the list. */
  get keys() {
    return this.#keys
  }
  get view() {
    return this.#view
  }
  get filtering() {
    return this.#view.q !== "" || this.#view.only !== null
  }
  get byTime() {
    return this.#view.sort.endsWith("updated")
  }
  get stale() {
    return this.#stale
  }

  get #ids() {
    return this.#tree?.ids ?? this.#keys
  }

  /**
   * Return the name of a row: a key, or that of a folder (see tree.js).
   * @param {number} index
   */
  at(index) {
    return this.#ids[index]
  }

  /**
   * Return the row number of a name, or -1.
   * @param {string | null | undefined} id
   */
  indexOf(id) {
    if (!id) return -1
    if (this.#tree || this.#view.sort !== "key") return this.#ids.indexOf(id)
    const { at, found } = place(this.#keys, id)
    return found ? at : -1
  }

  /**
   * Return {level, at, of, parent, count}: the row is number `at` of `of` in its folder; a folder contains `count`
   * keys.
   * @param {number} index
   */
  where(index) {
    if (!this.#tree) return { level: 1, at: index + 1, of: this.length, parent: -1 }
    const { parents, places, sizes, counts } = this.#tree
    let level = 1
    for (let up = parents[index]; up >= 0; up = parents[up]) level += 1
    return { level, at: places[index], of: sizes.get(parents[index]), parent: parents[index], count: counts.get(index) }
  }

  /**
   * Whether the contents of this folder are shown.
   * @param {number} index
   */
  shows(index) {
    return (this.#tree?.sizes.get(index) ?? 0) > 0
  }

  /**
   * Return the keys of a row: its own, or all matching ones in that folder.
   * @param {number} index
   */
  keysAt(index) {
    const { firsts, counts } = this.#tree ?? {}
    const first = firsts?.get(index)
    return first === undefined ? [this.at(index)] : this.#keys.slice(first, first + counts?.get(index))
  }

  /** @param {string} key */
  has(key) {
    return place(this.#all, key).found
  }

  // --- changes ---

  /**
   * Replace all keys: cheaper than thousands of single changes.
   * @param {string[]} keys
   */
  replace(keys) {
    this.#all = sortKeys(keys)
    this.#texts?.clear()
    this.#changed(true)
  }

  /** @param {string} key */
  add(key) {
    const { at, found } = place(this.#all, key)
    if (found) this.#texts?.forget(at)
    else {
      this.#all.splice(at, 0, key)
      this.#texts?.add(at)
    }
    this.#changed(!found)
  }

  /** @param {string} key */
  remove(key) {
    const { at, found } = place(this.#all, key)
    if (!found) return
    this.#all.splice(at, 1)
    this.#texts?.remove(at)
    this.#changed(true)
  }

  /**
   * Change the view: any of {prefix, q, sort, tree, only}; `only`: a set of keys, or null.
   * @param {Partial<View>} changes
   */
  show(changes) {
    this.#view = { ...this.#view, ...changes }
    this.make()
  }

  /** @param {boolean} keys */
  #changed(keys) {
    if (this.#keys === this.#all) return
    this.#stale ||= keys || this.#view.q !== "" || this.byTime
  }

  /**
   * Rebuild the rows if due and allowed; return the milliseconds until they may be rebuilt, or 0.
   * @param {number} now
   */
  settle(now) {
    if (!this.#stale) return 0
    if (now < this.#rested) return this.#rested - now
    this.make()
    return 0
  }

  make() {
    const start = performance.now()
    const { sort, tree, prefix, only } = this.#view
    const source = only ? sortKeys([...only].filter((key) => key.startsWith(prefix))) : this.#all
    const matched = only ? source : this.#match()
    const keys = this.#inOrder(matched, sort, { tree, root: prefix, revisionOf: (key) => this.#held(key)?.revision })
    // A tree needs a stable array, and `#all` changes in place.
    this.#keys = tree && keys === this.#all ? keys.slice() : keys
    const of = keys.length
    this.#tree = tree ? flatten(this.#keys, prefix, (folder, count) => this.#isOpen(folder, count, of)) : null
    this.#stale = false
    this.#rested = performance.now() + (performance.now() - start) * REST
  }

  /**
   * Prepare a search, for at most this many milliseconds; return whether it is ready.
   * @param {number} milliseconds
   */
  prepare(milliseconds) {
    return this.#texts?.make(this.#all, (key) => this.#held(key)?.value, milliseconds) ?? false
  }

  #match() {
    const { prefix, q } = this.#view
    this.partial = false
    if (prefix === "" && q === "") return this.#all
    const first = place(this.#all, prefix).at
    const end = endOf(this.#all, prefix, first)
    if (q === "") return this.#all.slice(first, end)
    this.partial = !this.prepare(MAKING)
    const needle = fold(q)
    const matches = []
    for (let at = first; at < end; at++)
      if ((this.#texts?.get(at) ?? fold(this.#all[at])).includes(needle)) matches.push(this.#all[at])
    return matches
  }
}

/**
 * Return the rows to draw for a view of `height` pixels, with some beyond either edge: {first, end}.
 * @param {{ scrollTop: number, height: number, rowHeight: number, count: number, beyond?: number }} view
 */
export function inView({ scrollTop, height, rowHeight, count, beyond = 8 }) {
  const first = Math.max(0, Math.floor(scrollTop / rowHeight) - beyond)
  const end = Math.min(count, Math.ceil((scrollTop + height) / rowHeight) + beyond)
  return { first: Math.min(first, end), end }
}

/**
 * Return the scroll position that shows this row completely, with the smallest move.
 * @param {{ index: number, scrollTop: number, height: number, rowHeight: number }} view
 */
export function scrollFor({ index, scrollTop, height, rowHeight }) {
  const top = index * rowHeight
  if (top < scrollTop) return top
  return Math.max(scrollTop, top + rowHeight - height)
}
