// The virtual list of keys: only the rows in view are drawn, rows do not move under the pointer or the focus, and a
// focused row keeps the focus. Order and contents come from the model.
// Longer than 320 lines: drawing, focus and scroll position of the rows depend on each other.

import { html, nothing, render } from "../../vendor/lit-html/lit-html.js"
import { drawKeyed } from "../shared/keyed-list.js"
import { later, once } from "../shared/lazy.js"
import { inView, scrollFor } from "./model/row-index.js"
import { folderOf } from "./model/tree.js"
import { rowView } from "./row-view.js"
import { listNotices, placeholder } from "./toolbar.js"

/**
 * @import { View } from "./model/row-index.js"
 * @import { DashboardModel } from "../dashboard-model.js"
 */

export class List {
  #root
  #model
  /** @type {any} */
  #grid = null
  /** @type {{ ids: string[], offset: number } | null} */
  #anchor = null // the position to keep: {ids: the rows from here on, offset: where the first of them is}
  /** @type {View | null} */
  #view = null // the view at the last draw
  #tabStop = null // the row with the tab stop: the current one, or the first in view
  #rowHeight = 36
  /** @type {import("./match-highlights.js").MatchHighlights | null} */
  #marked = null // highlights the matches of the filter
  /** @type {any} */
  #input = null // the pointer and keyboard input, once loaded
  #soon = false // load the input module as soon as there is a grid: another page may have been shown first
  #marking
  #bar
  #asides
  #start

  /** @param {DashboardModel} model */
  constructor(root, model) {
    this.#root = root
    this.#model = model
    const arrived = () => model.redraw()
    const failed = (error) => model.page.failedToLoad(error)
    this.#marking = later(() => import("./match-highlights.js"), arrived, failed)
    this.#bar = later(() => import("./selection-bar.js"), arrived, failed)
    this.#start = later(() => import("./onboarding.js"), arrived, failed)
    this.#asides = later(() => import("./empty-states.js"), arrived, failed)
    root.replaceChildren()
    addEventListener("resize", () => model.redraw())
  }

  /** Load the rest of the list, so that it is available without a network. */
  async loadRest() {
    this.#soon = true
    for (const have of [this.#marking, this.#asides, this.#bar]) have()
    await Promise.all([this.#grid ? this.#grasp() : import("./input.js"), this.#model.browse.loadRest()])
  }

  draw() {
    const { browse } = this.#model
    browse.settle(this.#used)
    const { rows } = browse
    const focused = this.#focusedRow()
    const orphaned = focused !== null && rows.indexOf(focused) < 0
    if (orphaned) browse.current = this.#survivor(focused)
    if (this.#grid) this.#rowHeight = parseInt(getComputedStyle(this.#grid).getPropertyValue("--row"), 10)
    if (this.#view === rows.view) this.#keepAnchor()
    else this.#begin(rows.view)
    this.#root.ariaBusy = String(!this.#model.synced)
    render(this.#template(), this.#root)
    if (!this.#grid) {
      this.#grid = this.#adopt(this.#root.querySelector(".grid"))
      if (this.#soon) this.#grasp().catch(() => {})
    }
    const now = this.#model.now()
    drawKeyed(
      this.#grid.firstElementChild,
      this.#visible(),
      ({ id }) => id,
      (row) => rowView(this.#model, now, row),
    )
    if (orphaned) this.#refocus(focused)
    this.#rememberAnchor()
  }

  /**
   * Focus the row of a key; without it, the row with the tab stop.
   * @param {string} [key]
   */
  focusRow(key) {
    const { rows, current } = this.#model.browse
    const index = [key, current].map((id) => (id ? rows.indexOf(id) : -1)).find((index) => index >= 0)
    if (rows.length > 0) this.moveTo(index ?? 0)
    else this.#root.querySelector("#filter").focus({ preventScroll: true })
  }

  /** Whether the open key replaces the list on this screen. */
  get narrow() {
    return matchMedia("(max-width: 699px)").matches
  }

  get root() {
    return this.#root
  }
  get grid() {
    return this.#grid
  }

  /** Handle a change of the selection, before it is drawn. */
  ticked() {
    this.#bar()
    this.#model.browse.ticked()
  }

  /** The number of rows on a page of the list. */
  get page() {
    return Math.max(1, Math.floor(this.#grid.clientHeight / this.#rowHeight) - 1)
  }

  /**
   * Scroll the row of a key into view, without the focus.
   * @param {string} key
   */
  show(key) {
    this.#model.browse.current = key
    this.#scrollTo(this.#model.browse.rows.indexOf(key))
  }

  /** The state of the list that a history entry stores, so that Back returns to it. */
  get place() {
    return { top: this.#grid?.scrollTop ?? 0, current: this.#model.browse.current, ...this.#model.browse.place }
  }

  set place({ top, current, ...place }) {
    this.#model.browse.place = place
    this.#model.browse.current = current
    this.#view = this.#model.browse.rows.view
    this.#anchor = null
    this.draw()
    this.#grid.scrollTop = top
    this.#rememberAnchor()
  }

  #template() {
    const model = this.#model
    const { browse } = model
    const { rows, selection } = browse
    const { tree, q, prefix } = rows.view
    const empty = rows.length === 0
    if (q === "") this.#marked = null
    else if (this.#marked?.filter !== q && this.#marking()) this.#marked = new (this.#marking().MatchHighlights)(q)
    return html`
      <div class="tools">
        <div class="search">
          <label class="vh" for="filter">Filter keys and values</label>
          <input id="filter" type="search" placeholder="Filter keys or values" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="512"
            data-command="filter" .value=${q} @focus=${() => browse.prepareSearch()} @input=${this.#filterTyped} @keydown=${this.#hand}>
          <kbd aria-hidden="true">/</kbd>
        </div>
        <button type="button" class="primary" data-command="new" @click=${() => model.opened.startNew()}>New key</button>
      </div>
      ${prefix ? this.#asides()?.crumbs(browse, model.page) : nothing} ${listNotices(model)}
      ${empty ? this.#insteadOfRows() : nothing}
      <div class=${`grid${selection.size ? " ticking" : ""}`} role=${tree ? "treegrid" : "grid"} aria-label="Keys" aria-multiselectable="true" aria-rowcount=${rows.length}
        ?hidden=${empty} @scroll=${this.#scrolled} @click=${this.#hand} @keydown=${this.#hand}>
        <div class="rows" role="rowgroup" .style=${`block-size:${rows.length * this.#rowHeight}px`}></div>
      </div>
      <div class="chips">${this.#news ? this.#asides()?.news(model, this.#toTop) : nothing}</div>
      ${model.kv.state === "offline" ? this.#asides()?.offlineNotice(model.kv, model.synced ? model.lastLive : null) : nothing}
      <p class="list-foot"><a href="/trash">Trash</a></p>
      ${selection.size > 0 ? this.#bar()?.barView(model) : nothing}`
  }

  /** Whether there are notices to show. */
  get #news() {
    const { opened, browse, kv } = this.#model
    const { paused, held, away, unsent, marks } = browse
    const kept = [opened.strays, kv.quarantined].some(({ length }) => length > 0)
    return kept || paused || [held, away, unsent].some(({ size }) => size > 0) || marks.bursting(Date.now())
  }

  #insteadOfRows() {
    const model = this.#model
    const { rows } = model.browse
    if (!model.synced) return placeholder
    return rows.total === 0 && !rows.filtering && rows.view.prefix === ""
      ? this.#start()?.startView(model)
      : this.#asides()?.emptyNotice(model)
  }

  /** The rows in view, and the current row wherever it is, since it has the focus or the tab stop. */
  #visible() {
    const { rows, current } = this.#model.browse
    const scrollTop = this.#grid?.scrollTop ?? 0
    const height = this.#grid?.clientHeight || 800
    const { first, end } = inView({ scrollTop, height, rowHeight: this.#rowHeight, count: rows.length })
    const wanted = Array.from({ length: end - first }, (_, i) => first + i)
    const away = current === null ? -1 : rows.indexOf(current)
    if (away >= 0 && away < first) wanted.unshift(away)
    if (away >= end) wanted.push(away)
    this.#tabStop = away >= 0 ? current : rows.at(Math.ceil(scrollTop / this.#rowHeight))
    return wanted.map((index) => {
      const id = rows.at(index)
      return {
        id,
        index,
        place: rows.where(index),
        tabStop: id === this.#tabStop,
        rowHeight: this.#rowHeight,
        marked: this.#marked,
      }
    })
  }

  // --- the filter ---

  #filterTyped = ({ target }) => {
    this.#model.browse.setFilter(target.value)
    const { length } = this.#model.browse.rows.keys
    if (target.value) this.#model.page.say(length === 1 ? "1 key matches" : `${length} keys match`)
  }

  /** Pass pointer and keyboard events to the method of their name. */
  #hand = (event) => {
    if (this.#input) this.#input[event.type]?.(event)
    else
      this.#grasp().then(
        () => this.#input[event.type]?.(event),
        () => {}, // without a connection; the next input tries again
      )
  }

  /**
   * Load the input module. All events wait for one promise, so that they are handled in order and before later ones.
   */
  #grasp = once(async () => {
    const { ListInput } = await import("./input.js")
    this.#input = new ListInput(this, this.#model)
  })

  // --- position ---

  #scrolled = () => {
    this.#rememberAnchor()
    this.#model.page.moved()
    this.#model.redraw()
  }

  #toTop = () => {
    this.#model.browse.showHeld()
    this.#anchor = null
    this.#grid.scrollTop = this.#model.browse.rows.view.sort === "updated" ? this.#grid.scrollHeight : 0
  }

  /**
   * Scroll to a row by its number, and focus it.
   * @param {number} index
   */
  moveTo(index) {
    const { browse } = this.#model
    browse.current = browse.rows.at(index)
    this.#scrollTo(index)
    this.draw()
    this.#rowElement(browse.current)?.focus({ preventScroll: true })
  }

  /** @param {number} index */
  #scrollTo(index) {
    if (index < 0 || !this.#grid) return
    this.#anchor = null
    const { scrollTop, clientHeight: height } = this.#grid
    this.#grid.scrollTop = scrollFor({ index, scrollTop, height, rowHeight: this.#rowHeight })
  }

  /** @param {string} id */
  #rowElement(id) {
    return [...this.#grid.querySelectorAll("[role=row]")].find((row) => row.rowId === id)
  }

  get #used() {
    return this.#grid?.matches(":hover, :focus-within") ?? false
  }

  #focusedRow() {
    return this.#grid?.contains(document.activeElement)
      ? (document.activeElement?.closest("[role=row]")?.rowId ?? null)
      : null
  }

  /** Return the row that replaces a removed one. */
  #survivor(gone) {
    const { rows } = this.#model.browse
    const ids = this.#anchor?.ids ?? []
    return ids.slice(ids.indexOf(gone) + 1).find((id) => rows.indexOf(id) >= 0) ?? rows.at(rows.length - 1) ?? null
  }

  #refocus(gone) {
    if (folderOf(gone) === null) this.#model.page.say(`${gone} was deleted`)
    this.focusRow()
  }

  /** Start at the top of a new view, or at the current row if only the order has changed. */
  #begin(view) {
    const same = this.#view !== null && this.#view.q === view.q && this.#view.prefix === view.prefix
    this.#view = view
    this.#anchor = null
    if (!this.#grid) return
    this.#setHeight()
    this.#grid.scrollTop = 0
    const { current, rows } = this.#model.browse
    if (same && current !== null) this.#scrollTo(rows.indexOf(current))
  }

  /** Keep the visible rows in place when rows above come and go; at the very top, new keys may appear. */
  #keepAnchor() {
    if (!this.#grid || !this.#anchor) return
    const { rows } = this.#model.browse
    const { ids, offset } = this.#anchor
    const stays = ids.findIndex((id) => rows.indexOf(id) >= 0)
    if (stays < 0) return
    const top = (rows.indexOf(ids[stays]) - stays) * this.#rowHeight - offset
    if (Math.abs(top - this.#grid.scrollTop) < 1) return
    this.#setHeight()
    this.#grid.scrollTop = top
  }

  /** Set the final height of the rows first, or the browser clamps the scroll position. */
  #setHeight() {
    this.#grid.firstElementChild.style.blockSize = `${this.#model.browse.rows.length * this.#rowHeight}px`
  }

  #rememberAnchor() {
    const { rows } = this.#model.browse
    const { scrollTop, clientHeight } = this.#grid
    const focused = this.#focusedRow()
    if (rows.length === 0 || (scrollTop === 0 && !this.#used)) {
      this.#anchor = null
      return
    }
    const first = focused === null ? Math.floor(scrollTop / this.#rowHeight) : rows.indexOf(focused)
    const ids = Array.from({ length: Math.ceil(clientHeight / this.#rowHeight) + 1 }, (_, i) =>
      rows.at(first + i),
    ).filter((id) => id !== undefined)
    this.#anchor = { ids, offset: first * this.#rowHeight - scrollTop }
  }

  #adopt(grid) {
    new ResizeObserver(() => this.#model.redraw()).observe(grid)
    return grid
  }
}
