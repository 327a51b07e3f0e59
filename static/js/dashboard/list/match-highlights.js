// Highlights the matches of a filter in a row: in the key, and in the value at any position. Loaded with the first
// filter.

import { html } from "../../vendor/lit-html/lit-html.js"
import { kindOf } from "../shared/texts.js"
import { found } from "./model/text-index.js"

const BEFORE = 8 // characters of a value before the match, if it is far from the start
const LONG = 120

export class MatchHighlights {
  #filter
  #values = new Map() // key → {entry, shown}

  constructor(filter) {
    this.#filter = filter
  }

  get filter() {
    return this.#filter
  }

  /** @param {string} text */
  text(text) {
    return cutOut(text, found(text, this.#filter))
  }

  /**
   * Render a key, with its folders in a quieter colour.
   * @param {string} key
   */
  key(key) {
    const match = found(key, this.#filter) ?? { at: 0, end: 0 }
    const cut = key.endsWith("/") ? 0 : key.lastIndexOf("/") + 1
    const folder = cutOut(key.slice(0, cut), { at: match.at, end: Math.min(match.end, cut) })
    const leaf = cutOut(key.slice(cut), { at: Math.max(0, match.at - cut), end: match.end - cut })
    return html`<bdi>${cut ? html`<span class="folder">${folder}</span>` : ""}<span class="leaf">${leaf}</span></bdi>`
  }

  /**
   * Render the value of an entry, from shortly before the match; null if there is no match.
   * @param {string} key
   */
  value(key, entry) {
    const known = this.#values.get(key)
    if (known?.entry === entry) return known.shown
    const shown = this.#make(entry.value)
    this.#values.set(key, { entry, shown })
    return shown
  }

  #make(value) {
    const text = typeof value === "string" ? `"${value}"` : JSON.stringify(value)
    const match = found(text, this.#filter)
    if (!match) return null
    const start = match.at > 2 * BEFORE ? match.at - BEFORE : 0
    const cut = text.slice(start, start + LONG + this.#filter.length)
    return html`<span class=${`json-${kindOf(value).split(" ")[0]}`}>${start ? "…" : ""}${cutOut(cut, { at: match.at - start, end: match.end - start })}</span>`
  }
}

/** @param {string} text */
function cutOut(text, match) {
  if (!match || match.end <= match.at) return text
  return html`${text.slice(0, match.at)}<mark>${text.slice(match.at, match.end)}</mark>${text.slice(match.end)}`
}
