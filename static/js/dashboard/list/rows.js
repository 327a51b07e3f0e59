// Which rows stand in the list, in which order, and which of them are on the screen. No DOM: it thinks in row numbers.
// All keys are kept in byte order, change by change; what is shown of them is made anew when somebody looks and something
// has changed, but so that it never takes more than a tenth of the time.

import { place, sortKeys } from "../../keys.js"
import { fold } from "../shared/fold.js"
import { endOf, flatten } from "./tree.js"

const REST = 10 // times as long as the last making took
const MAKING = 20 // milliseconds for the texts of values, before the rows are shown without them

export class Rows {
  #all = []
  #texts = null // see `equip`
  #inOrder = (keys) => keys
  #held // key → entry
  #isOpen
  #view = { prefix: "", q: "", sort: "key", tree: false, only: null }
  #keys = this.#all // those that are shown, or hidden in a folder; the same array where it can be
  #tree = null
  #stale = false
  #rested = 0 // when the rows may be made again

  /** `held(key)` is the entry of a key, `isOpen(folder, count, of)` says whether a folder with `count` of the `of` keys shows what is in it. */
  constructor(held = () => undefined, isOpen = () => true) {
    this.#held = held
    this.#isOpen = isOpen
  }

  /** Before this the values are not looked at, and the keys keep their own order: with what finding.js has. */
  equip({ Texts, inOrder }) {
    this.#texts = new Texts()
    this.#inOrder = inOrder
    this.make()
  }

  /** Whether a search had to leave out values, whose texts are not made yet. */
  partial = false

  get length() {
    return this.#ids.length
  }
  get total() {
    return this.#all.length
  }
  /** The keys that match, shown or hidden in a folder, in the order of the list. */
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

  /** The name of a row: a key, or that of a folder (see tree.js). */
  at(index) {
    return this.#ids[index]
  }

  /** The row number of a name, or -1; also of none. */
  indexOf(id) {
    if (!id) return -1
    if (this.#tree || this.#view.sort !== "key") return this.#ids.indexOf(id)
    const { at, found } = place(this.#keys, id)
    return found ? at : -1
  }

  /** {level, at, of, parent, count}: `count` keys in it, if it is a folder; the row is the `at`-th `of` so many in its folder. */
  where(index) {
    if (!this.#tree) return { level: 1, at: index + 1, of: this.length, parent: -1 }
    const { parents, places, sizes, counts } = this.#tree
    let level = 1
    for (let up = parents[index]; up >= 0; up = parents[up]) level += 1
    return { level, at: places[index], of: sizes.get(parents[index]), parent: parents[index], count: counts.get(index) }
  }

  /** Whether what is in this folder is shown. */
  shows(index) {
    return (this.#tree?.sizes.get(index) ?? 0) > 0
  }

  /** The keys of a row: its own, or all in that folder that match. */
  keysAt(index) {
    const first = this.#tree?.firsts.get(index)
    return first === undefined ? [this.at(index)] : this.#keys.slice(first, first + this.#tree.counts.get(index))
  }

  has(key) {
    return place(this.#all, key).found
  }

  // --- what becomes of them ---

  /** All keys anew: cheaper than thousands of single ones. */
  replace(keys) {
    this.#all = sortKeys(keys)
    this.#texts?.clear()
    this.#changed(true)
  }

  add(key) {
    const { at, found } = place(this.#all, key)
    if (found) this.#texts?.forget(at)
    else {
      this.#all.splice(at, 0, key)
      this.#texts?.add(at)
    }
    this.#changed(!found)
  }

  remove(key) {
    const { at, found } = place(this.#all, key)
    if (!found) return
    this.#all.splice(at, 1)
    this.#texts?.remove(at)
    this.#changed(true)
  }

  /** Shows others, or in another order: any of {prefix, q, sort, tree, only}; `only`: a set of keys, or null. */
  show(changes) {
    this.#view = { ...this.#view, ...changes }
    this.make()
  }

  #changed(keys) {
    if (this.#keys === this.#all) return
    this.#stale ||= keys || this.#view.q !== "" || this.byTime
  }

  /** Makes the rows anew if they have to be, and may; returns after how many milliseconds they may, or 0. */
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
    // A tree counts on its keys, and all of them come and go.
    this.#keys = tree && keys === this.#all ? keys.slice() : keys
    const of = keys.length
    this.#tree = tree ? flatten(this.#keys, prefix, (folder, count) => this.#isOpen(folder, count, of)) : null
    this.#stale = false
    this.#rested = performance.now() + (performance.now() - start) * REST
  }

  /** Makes ready for a search, for so many milliseconds; returns whether it is. */
  prepare(milliseconds) {
    return this.#texts !== null && this.#texts.make(this.#all, (key) => this.#held(key)?.value, milliseconds)
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

/** The rows to draw for a view of `height` pixels, with some beyond either edge: {first, end}. */
export function inView({ scrollTop, height, rowHeight, count, beyond = 8 }) {
  const first = Math.max(0, Math.floor(scrollTop / rowHeight) - beyond)
  const end = Math.min(count, Math.ceil((scrollTop + height) / rowHeight) + beyond)
  return { first: Math.min(first, end), end }
}

/** Where to scroll so that this row is wholly in view: the smallest move. */
export function scrollFor({ index, scrollTop, height, rowHeight }) {
  const top = index * rowHeight
  if (top < scrollTop) return top
  return Math.max(scrollTop, top + rowHeight - height)
}

