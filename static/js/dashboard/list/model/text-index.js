// The texts that the filter searches: one per key, of the key and its value as `fold` normalizes it, created on first
// use. No text is created twice, and no call exceeds its time limit. No DOM.

import { fold } from "../../shared/texts.js"

/** @import { Json } from "../../../client/json-values.js" */

const SLICE = 256

export class TextIndex {
  /** @type {(string | undefined)[]} */
  #texts = [] // by the position of the key among all keys
  #made = 0 // every key before this position has a text

  /** @param {number} at */
  get(at) {
    return this.#texts[at]
  }

  clear() {
    this.#texts = []
    this.#made = 0
  }

  /** @param {number} at */
  add(at) {
    // positions beyond the array have no texts to shift
    if (at < this.#texts.length) this.#texts.splice(at, 0, undefined)
    this.#made = Math.min(this.#made, at)
  }

  /** @param {number} at */
  remove(at) {
    this.#texts.splice(at, 1)
    if (at < this.#made) this.#made -= 1
  }

  /**
   * Drop the text of the key at this position, whose value has changed.
   * @param {number} at
   */
  forget(at) {
    if (at < this.#texts.length) this.#texts[at] = undefined
    this.#made = Math.min(this.#made, at)
  }

  /**
   * Create missing texts for at most this many milliseconds; return whether all exist.
   * @param {string[]} keys
   * @param {number} milliseconds
   * @param {(key: string) => Json | undefined} valueAt
   * @param {number} milliseconds
   */
  make(keys, valueAt, milliseconds) {
    const until = performance.now() + milliseconds
    for (let at = this.#made; at < keys.length; at++) {
      if (at % SLICE === 0 && performance.now() > until) {
        this.#made = at
        return false
      }
      this.#texts[at] ??= textOf(keys[at], valueAt(keys[at]))
    }
    this.#made = keys.length
    return true
  }
}

/**
 * Return key and value as one text; a text value unescaped, any other as JSON. No filter can contain the line break
 * between them.
 * @param {string} key
 * @param {Json | undefined} value
 */
export function textOf(key, value) {
  const written = value === undefined ? "" : typeof value === "string" ? `"${value}"` : JSON.stringify(value)
  return fold(`${key}\n${written}`)
}

/**
 * Return the position of a filter in a text, ignoring case and composition: {at, end}, or null.
 * @param {string} text
 * @param {string} filter
 */
export function found(text, filter) {
  if (filter === "") return null
  const match = patternOf(filter).exec(text)
  return match && { at: match.index, end: match.index + match[0].length }
}

/**
 * Return a pattern that finds `text` ignoring case, composed or decomposed.
 * @param {string} text
 */
export function patternOf(text) {
  const letters = Array.from(text.normalize("NFC"), (letter) => {
    const apart = letter.normalize("NFD")
    return apart === letter ? escaped(letter) : `(?:${escaped(letter)}|${escaped(apart)})`
  })
  return new RegExp(letters.join(""), "iu")
}

const escaped = (/** @type {string} */ text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
