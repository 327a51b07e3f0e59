// The command palette (Ctrl+K): every key, page and action by a few letters of its name. The field keeps the focus;
// `aria-activedescendant` names the active option.

import { problemWithKey } from "../../client/keys.js"
import { html, nothing, render } from "../../vendor/lit-html/lit-html.js"
import { preview } from "../shared/view-helpers.js"
import { places, score, search } from "./fuzzy.js"
import { nameOf, perform } from "./keyboard.js"
import { printed } from "./printed.js"

/**
 * @import { DashboardModel } from "../dashboard-model.js"
 * @import { Command } from "./registry.js"
 */

const MOST = 40

/**
 * Open the palette over the page; `commands` is the registry.
 * @param {DashboardModel} model
 * @param {Command[]} commands
 */
export function openPalette(model, commands) {
  new Palette(model, commands).open()
}

class Palette {
  #model
  #commands
  #keys
  /** @type {string[] | null} */
  #lower = null // the keys in lower case, once the user types
  /** @type {{ needle: string, matching: number[] | null }} */
  #last = { needle: "", matching: null } // the previous search
  #text = ""
  #options = []
  #active = 0

  /** @param {DashboardModel} model @param {Command[]} commands */
  constructor(model, commands) {
    this.#model = model
    this.#commands = commands.filter(({ name, run, when }) => run && name !== "palette" && (!when || when(model)))
    this.#keys = model.kv.keys()
  }

  get #place() {
    return this.#model.page.dialogs
  }
  get #dialog() {
    return this.#place.querySelector("#palette")
  }

  open() {
    this.#place.querySelector("dialog[open]")?.close()
    this.#find()
    this.#dialog.showModal()
  }

  #find(text = "") {
    this.#text = text
    const needle = text.toLowerCase().replace(/\s+/g, " ").trim()
    this.#options = needle === "" ? this.#atFirst() : this.#found(needle)
    this.#active = 0
    this.#draw()
  }

  /** Return the recently opened keys, then all available commands. */
  #atFirst() {
    const recent = this.#model.recent.filter((key) => this.#model.kv.entry(key)).slice(0, 5)
    return [
      ...recent.map((key) => ({ key, places: [] })),
      ...this.#commands.map((command) => ({ command, places: [] })),
    ]
  }

  #found(needle) {
    const lower = this.#lower ?? this.#keys.map((key) => key.toLowerCase())
    this.#lower = lower
    const narrower = needle.startsWith(this.#last.needle) ? this.#last.matching : null
    const { best, matching } = search(needle, lower, { most: MOST, among: narrower })
    this.#last = { needle, matching }
    const { recent } = this.#model
    const keys = best.map(([points, i]) => {
      const key = this.#keys[i]
      return { key, points: points + (recent.includes(key) ? 50 : 0), places: marks(needle, key) }
    })
    const commands = this.#commands.flatMap((command) => {
      const title = titleOf(command)
      const points = score(needle, title.toLowerCase())
      return points < 0 ? [] : [{ command, points, places: marks(needle, title) }]
    })
    const all = [...keys, ...commands].sort((a, b) => b.points - a.points).slice(0, MOST)
    const fresh = this.#text.trim()
    if (!problemWithKey(fresh) && !this.#model.kv.entry(fresh)) all.push({ fresh, places: [] })
    return all
  }

  #draw() {
    render(this.#view(), this.#place)
    this.#place.querySelector(`#option-${this.#active}`)?.scrollIntoView({ block: "nearest" })
  }

  #view() {
    const found = this.#options.length
    return html`
      <dialog id="palette" class="palette" aria-label="Go to a key, a page or an action" @click=${this.#clickedBeside}>
        <input id="palette-text" type="text" role="combobox" aria-label="Key, page or action" aria-expanded="true" aria-controls="palette-options" aria-autocomplete="list"
          aria-activedescendant=${found ? `option-${this.#active}` : nothing} placeholder="Key, page or action" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="512"
          autofocus .value=${this.#text} @input=${({ target }) => this.#find(target.value)} @keydown=${this.#keyPressed}>
        <ul id="palette-options" role="listbox" aria-label="Found" ?hidden=${found === 0}>
          ${this.#options.map((option, i) => this.#option(option, i))}
        </ul>
        ${found ? nothing : html`<p class="palette-none">Nothing is called that.</p>`}
        <p class="vh" role="status">${this.#text === "" ? "" : `${found} found`}</p>
      </dialog>`
  }

  #option(option, i) {
    return html`
      <li id=${`option-${i}`} role="option" aria-selected=${String(i === this.#active)} @click=${() => this.#take(option)} @pointermove=${() => this.#activate(i)}>
        ${this.#inside(option)}
      </li>`
  }

  #inside({ key, command, fresh, places }) {
    if (fresh !== undefined) return html`<span class="palette-name">New key <span class="mono">${fresh}</span></span>`
    if (command)
      return html`<span class="palette-name">${marked(titleOf(command), places)}</span><span class="palette-keys" aria-hidden="true">${command.keys
        .slice(0, 1)
        .flatMap((keys) => printed(keys))
        .map((one) => html`<kbd>${one}</kbd>`)}</span>`
    const entry = this.#model.kv.entry(key)
    return html`<span class="palette-name mono"><bdi>${marked(key, places)}</bdi></span><span class="palette-value mono">${entry ? preview(entry.value) : nothing}</span>`
  }

  #keyPressed = (event) => {
    const last = this.#options.length - 1
    const to = {
      ArrowDown: this.#active + 1,
      ArrowUp: this.#active - 1,
      PageDown: Math.min(last, this.#active + 8),
      PageUp: Math.max(0, this.#active - 8),
    }[event.key]
    if (event.isComposing) return
    if (nameOf(event) === "Ctrl+K") this.#dialog.close()
    else if (event.key === "Enter" && this.#options[this.#active]) this.#take(this.#options[this.#active])
    else if (to !== undefined && last >= 0) this.#activate((to + last + 1) % (last + 1))
    else return
    event.preventDefault()
  }

  #clickedBeside = ({ target, currentTarget }) => target === currentTarget && currentTarget.close()

  #activate(i) {
    if (i === this.#active) return
    this.#active = i
    this.#draw()
  }

  /** Close the palette, which restores the focus, and then run the option from there. */
  #take({ key, command, fresh }) {
    this.#dialog.close()
    if (command) perform(command, this.#model)
    else if (fresh !== undefined) this.#model.opened.startNew(fresh)
    else this.#model.opened.openKey(key)
  }
}

function titleOf({ group, title }) {
  return group === "Go to" ? `Go to ${title}` : title
}

/**
 * Return the positions in `text` to mark; none if its lower case differs in length ("İ").
 * @param {string} text
 */
function marks(needle, text) {
  const lower = text.toLowerCase()
  return lower.length === text.length ? places(needle, lower) : []
}

/**
 * Render `text` with the matched letters marked.
 * @param {string} text
 */
function marked(text, places) {
  if (places.length === 0) return text
  const parts = []
  let from = 0
  for (const at of places) {
    if (at > from) parts.push(text.slice(from, at))
    if (at >= from) parts.push(html`<mark>${text[at]}</mark>`)
    from = at + 1
  }
  parts.push(text.slice(from))
  return parts
}
