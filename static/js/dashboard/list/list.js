// The list of keys: only the rows in view are drawn, rows do not move under the pointer or the focus, and a row that
// has the focus keeps it. Its order and contents come from the desk.

import { html, nothing, render } from "../../vendor/lit-html/lit-html.js"
import { repeat } from "../../vendor/lit-html/directives/repeat.js"
import { emptyNotice, listNotices } from "./notices.js"
import { keyText, preview, signs, time } from "../shared/pieces.js"
import { inView, scrollFor } from "./rows.js"

export class List {
  #root
  #desk
  #grid = null
  #current = null // the key of the row that Tab leads to
  #anchor = null // the row that must not move: {key, offset}
  #tabStop = null // that row, or the first one in view
  #rowHeight = 36

  constructor(root, desk) {
    this.#root = root
    this.#desk = desk
    root.replaceChildren()
    addEventListener("resize", () => desk.redraw())
  }

  draw() {
    const { rows } = this.#desk.browse
    const focused = this.#focusedKey()
    const orphaned = focused !== null && rows.indexOf(focused) < 0
    if (orphaned) this.#current = rows.at(Math.min(this.#focusedPlace(), rows.length - 1)) ?? null
    if (this.#grid) this.#rowHeight = parseInt(getComputedStyle(this.#grid).getPropertyValue("--row"), 10)
    this.#keepAnchor()
    render(this.#template(), this.#root)
    this.#grid ??= this.#adopt(this.#root.querySelector(".grid"))
    if (orphaned) this.#refocus(focused)
    this.#rememberAnchor()
  }

  focusFilter() {
    this.#root.querySelector("#filter").select()
  }

  /** To the row of a key; without it, to the row that Tab leads to. */
  focusRow(key) {
    const { rows } = this.#desk.browse
    const index = [key, this.#current].map((key) => (key ? rows.indexOf(key) : -1)).find((index) => index >= 0)
    if (rows.length > 0) this.#moveTo(index ?? 0)
    else this.#root.querySelector("#filter").focus({ preventScroll: true })
  }

  /** Brings the row of a key into view, without the focus. */
  show(key) {
    this.#current = key
    this.#scrollTo(this.#desk.browse.rows.indexOf(key))
  }

  #template() {
    const desk = this.#desk
    const { rows } = desk.browse
    return html`
      <div class="tools">
        <div class="search">
          <label class="vh" for="filter">Filter keys</label>
          <input id="filter" type="search" placeholder="Filter keys" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="512"
            aria-keyshortcuts="/" .value=${desk.browse.filter} @input=${this.#filterTyped} @keydown=${this.#filterKey}>
          <kbd aria-hidden="true">/</kbd>
        </div>
        <button type="button" class="primary" data-command="new" @click=${() => desk.opened.startNew()}>New key</button>
      </div>
      ${listNotices(desk)}
      ${rows.length === 0 ? emptyNotice(desk) : nothing}
      <div class="grid" role="grid" aria-label="Keys" aria-rowcount=${rows.length} ?hidden=${rows.length === 0} aria-busy=${String(!desk.synced)}
        @scroll=${this.#scrolled} @click=${this.#clicked} @keydown=${this.#keyPressed}>
        <div class="rows" role="rowgroup" .style=${`block-size:${rows.length * this.#rowHeight}px`}>
          ${repeat(this.#visible(), ({ key }) => key, (row) => this.#row(row))}
        </div>
      </div>`
  }

  /** The rows in view, and the one with the focus or the way to it, wherever it is. */
  #visible() {
    const { rows } = this.#desk.browse
    const scrollTop = this.#grid?.scrollTop ?? 0
    const height = this.#grid?.clientHeight || 800
    const { first, end } = inView({ scrollTop, height, rowHeight: this.#rowHeight, count: rows.length })
    const visible = []
    for (let index = first; index < end; index++) visible.push({ index, key: rows.at(index) })
    const current = this.#current === null ? -1 : rows.indexOf(this.#current)
    if (current >= 0 && current < first) visible.unshift({ index: current, key: this.#current })
    if (current >= end) visible.push({ index: current, key: this.#current })
    this.#tabStop = current >= 0 ? this.#current : rows.at(Math.ceil(scrollTop / this.#rowHeight))
    return visible
  }

  #row({ index, key }) {
    const desk = this.#desk
    const mark = desk.browse.marks.of(key, Date.now())
    const open = desk.opened.open?.key === key
    const flash = mark?.flashing ? ` flash ${mark.kind}` : ""
    return html`
      <div role="row" class=${`row${open ? " open" : ""}${flash}`} aria-rowindex=${index + 1} aria-selected=${String(open)}
        tabindex=${key === this.#tabStop ? 0 : -1} .rowKey=${key} .style=${`transform:translateY(${index * this.#rowHeight}px)`}>
        ${this.#cells(key, desk.kv.entry(key), mark)}
      </div>`
  }

  #cells(key, entry, mark) {
    const desk = this.#desk
    const unsent = desk.browse.unsent.has(key)
    const edited = desk.opened.hasDraft(key)
    return html`
      <span role="gridcell" class="k" title=${key} aria-label=${edited ? `${key}, has unsaved changes` : key}>
        ${keyText(key)}${edited ? html`<span class="edited" title="Has unsaved changes">${signs.draft}</span>` : nothing}
      </span>
      <span role="gridcell" class="v">${entry ? preview(entry.value) : html`<span class="dim">${mark?.kind === "gone" ? "deleted" : "not saved yet"}</span>`}</span>
      <span role="gridcell" class="t">
        ${mark ? html`<span class="by" title=${`${news(mark)} ${mark.who}`}>${signs.otherTab}<span class="vh">${news(mark)} </span><span class="who">${mark.who}</span></span>` : nothing}
        ${unsent ? html`<span class="unsent">${signs.unsent}unsent</span>` : entry ? time(entry.updated_at, desk.now()) : nothing}
      </span>`
  }

  #filterTyped = ({ target }) => {
    this.#desk.browse.setFilter(target.value)
    this.#grid.scrollTop = 0
    const { length } = this.#desk.browse.rows
    if (target.value) this.#desk.page.say(length === 1 ? "1 key matches" : `${length} keys match`)
  }

  #filterKey = (event) => {
    const desk = this.#desk
    if (event.key === "Escape" && desk.browse.filter === "") event.target.blur()
    if (event.key === "Escape" && desk.browse.filter !== "") {
      event.preventDefault()
      desk.browse.setFilter("")
    }
    if (event.key === "ArrowDown" && desk.browse.rows.length > 0) {
      event.preventDefault()
      this.#moveTo(0)
    }
    if (event.key === "Enter" && desk.browse.filter) desk.opened.openKey(desk.browse.filter)
  }

  #clicked = (event) => {
    const row = event.target.closest("[role=row]")
    if (!row) return
    this.#current = row.rowKey
    this.#desk.opened.openKey(row.rowKey, { focus: narrow() })
  }

  #keyPressed = (event) => {
    const row = event.target.closest("[role=row]")
    if (!row || event.altKey || event.ctrlKey || event.metaKey) return
    const last = this.#desk.browse.rows.length - 1
    const here = this.#desk.browse.rows.indexOf(row.rowKey)
    const page = Math.max(1, Math.floor(this.#grid.clientHeight / this.#rowHeight) - 1)
    const to = { ArrowUp: here - 1, ArrowDown: here + 1, Home: 0, End: last, PageUp: here - page, PageDown: here + page }[event.key]
    if (to !== undefined) this.#moveTo(Math.min(last, Math.max(0, to)))
    else if (event.key === "Enter" || event.key === " ") this.#desk.opened.openKey(row.rowKey)
    else if (event.key === "Delete") this.#desk.opened.remove(row.rowKey)
    else return
    event.preventDefault()
  }

  #scrolled = () => {
    this.#rememberAnchor()
    this.#desk.redraw()
  }

  #moveTo(index) {
    this.#current = this.#desk.browse.rows.at(index)
    this.#scrollTo(index)
    this.draw()
    this.#rowElement(this.#current)?.focus({ preventScroll: true })
  }

  #scrollTo(index) {
    if (index < 0 || !this.#grid) return
    const { scrollTop, clientHeight: height } = this.#grid
    this.#grid.scrollTop = scrollFor({ index, scrollTop, height, rowHeight: this.#rowHeight })
  }

  #rowElement(key) {
    return [...this.#grid.querySelectorAll("[role=row]")].find((row) => row.rowKey === key)
  }

  #focusedKey() {
    return this.#grid?.contains(document.activeElement) ? (document.activeElement.rowKey ?? null) : null
  }

  #focusedPlace() {
    return Number(document.activeElement.getAttribute("aria-rowindex")) - 1
  }

  /** The row that had the focus is gone: its place takes it over. */
  #refocus(gone) {
    this.#desk.page.say(`${gone} was deleted`)
    this.focusRow()
  }

  /** Rows that come and go above must not move what one is looking at; at the very top, new keys may show. */
  #keepAnchor() {
    if (!this.#grid || !this.#anchor) return
    const index = this.#desk.browse.rows.near(this.#anchor.key)
    const top = index * this.#rowHeight - this.#anchor.offset
    if (Math.abs(top - this.#grid.scrollTop) >= 1) {
      // the rows must be as high as they will be, or the browser cuts the position short
      this.#grid.firstElementChild.style.blockSize = `${this.#desk.browse.rows.length * this.#rowHeight}px`
      this.#grid.scrollTop = top
    }
  }

  #rememberAnchor() {
    const { rows } = this.#desk.browse
    const { scrollTop } = this.#grid
    const used = this.#grid.matches(":hover, :focus-within")
    const focused = this.#focusedKey()
    const key = focused ?? rows.at(Math.floor(scrollTop / this.#rowHeight))
    if (key === undefined || (scrollTop === 0 && !used)) return (this.#anchor = null)
    this.#anchor = { key, offset: rows.indexOf(key) * this.#rowHeight - scrollTop }
  }

  #adopt(grid) {
    new ResizeObserver(() => this.#desk.redraw()).observe(grid)
    return grid
  }
}

function news({ kind }) {
  return { new: "created by", changed: "changed by", gone: "deleted by" }[kind]
}

/** Whether the open key takes the place of the list. */
export function narrow() {
  return matchMedia("(max-width: 699px)").matches
}
