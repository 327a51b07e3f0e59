// Which keys stand in the list, in which order, and which of them are on the screen. No DOM: it thinks in row numbers.

import { place, sortKeys } from "../../keys.js"

export class Rows {
  #all = []
  #shown = this.#all // the same array while there is no filter
  #needle = ""
  #pattern = null

  get length() {
    return this.#shown.length
  }
  get filtering() {
    return this.#needle !== ""
  }

  at(index) {
    return this.#shown[index]
  }

  /** The row number of a key, or -1. */
  indexOf(key) {
    const { at, found } = place(this.#shown, key)
    return found ? at : -1
  }

  /** The row number that a key has or would have. */
  near(key) {
    return place(this.#shown, key).at
  }

  /** All keys anew: cheaper than thousands of single ones. */
  replace(keys) {
    this.#all = sortKeys(keys)
    this.#shown = this.filtering ? this.#all.filter((key) => this.#matches(key)) : this.#all
  }

  add(key) {
    insert(this.#all, key)
    if (this.filtering && this.#matches(key)) insert(this.#shown, key)
  }

  remove(key) {
    remove(this.#all, key)
    if (this.filtering) remove(this.#shown, key)
  }

  has(key) {
    return place(this.#all, key).found
  }

  /** Shows only the keys that contain this text, in whatever case. */
  filter(text) {
    const within = this.filtering && text.includes(this.#needle) ? this.#shown : this.#all
    this.#needle = text
    // Twice as fast as lower-casing a hundred thousand keys.
    this.#pattern = new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "iu")
    this.#shown = this.filtering ? within.filter((key) => this.#matches(key)) : this.#all
  }

  #matches(key) {
    return this.#pattern.test(key)
  }
}

function insert(keys, key) {
  const { at, found } = place(keys, key)
  if (!found) keys.splice(at, 0, key)
}

function remove(keys, key) {
  const { at, found } = place(keys, key)
  if (found) keys.splice(at, 1)
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
