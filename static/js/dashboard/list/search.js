// What the filter looks at: one text for each key, of the key and its value as `fold` makes it, made when it is first looked
// for. Nothing is made twice, and nothing takes longer than it may. No DOM.

import { fold } from "../shared/fold.js"

const SLICE = 256

export class Texts {
  #texts = [] // by the place of the key among all
  #made = 0 // up to here there is one for every key

  get(at) {
    return this.#texts[at]
  }

  clear() {
    this.#texts = []
    this.#made = 0
  }

  add(at) {
    // what lies beyond has no place yet that could move
    if (at < this.#texts.length) this.#texts.splice(at, 0, undefined)
    this.#made = Math.min(this.#made, at)
  }

  remove(at) {
    this.#texts.splice(at, 1)
    if (at < this.#made) this.#made -= 1
  }

  /** The value under the key at this place is another one. */
  forget(at) {
    if (at < this.#texts.length) this.#texts[at] = undefined
    this.#made = Math.min(this.#made, at)
  }

  /** Makes those that are missing, for so many milliseconds; returns whether all are there. */
  make(keys, valueOf, milliseconds) {
    const until = performance.now() + milliseconds
    for (let at = this.#made; at < keys.length; at++) {
      if (at % SLICE === 0 && performance.now() > until) {
        this.#made = at
        return false
      }
      this.#texts[at] ??= textOf(keys[at], valueOf(keys[at]))
    }
    this.#made = keys.length
    return true
  }
}

/** Key and value in one text; a text value as it is read, all else as JSON. No filter can contain the line break between them. */
export function textOf(key, value) {
  const written = value === undefined ? "" : typeof value === "string" ? `"${value}"` : JSON.stringify(value)
  return fold(`${key}\n${written}`)
}

/** Where a filter is found in a text, in whatever case and composition: {at, end}, or null. */
export function found(text, filter) {
  if (filter === "") return null
  const match = patternOf(filter).exec(text)
  return match && { at: match.index, end: match.index + match[0].length }
}

/** A pattern that finds `text` in whatever case, composed or decomposed. */
export function patternOf(text) {
  const letters = Array.from(text.normalize("NFC"), (letter) => {
    const apart = letter.normalize("NFD")
    return apart === letter ? escaped(letter) : `(?:${escaped(letter)}|${escaped(apart)})`
  })
  return new RegExp(letters.join(""), "iu")
}

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
