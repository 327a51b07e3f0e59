// Pointer and keyboard input of the list. Loaded with the first input.

import { setting } from "../../lib/settings.js"
import { LongPress } from "./long-press.js"
import { step } from "./model/keyboard-navigation.js"
import { RangeSelection } from "./model/range-selection.js"
import { folderOf } from "./model/tree.js"
import { divide } from "./splitter.js"

/** @import { DashboardModel } from "../dashboard-model.js" */

export class ListInput {
  #list
  #model
  #range
  #press = new LongPress((row) => this.#tick(row.rowId))

  /** @param {DashboardModel} model */
  constructor(list, model) {
    this.#list = list
    this.#model = model
    this.#range = new RangeSelection(model.browse.selection)
    divide(document.getElementById("divider"), list.root)
    const { grid } = list
    this.#press.listen(grid)
    grid.addEventListener("dblclick", (event) => this.#clickedTwice(event))
    // Shift-click selects a range of rows, not of text.
    grid.addEventListener("mousedown", (event) => event.shiftKey && event.preventDefault())
  }

  click(event) {
    const row = event.target.closest("[role=row]")
    if (!row || this.#press.swallows()) return
    const { browse, opened } = this.#model
    const before = browse.current
    const id = row.rowId
    browse.current = id
    if (event.target.closest(".more")) return this.#openMenu(row)
    if (event.shiftKey) return this.#extend(before ?? id, browse.rows.indexOf(id))
    const box = event.target.closest(".c")
    if (box) event.target.matches("input") || event.preventDefault()
    const ticking = this.#list.grid.classList.contains("ticking") && matchMedia("(pointer: coarse)").matches
    if (box || ticking || event.ctrlKey || event.metaKey) return this.#tick(id)
    const folder = folderOf(id)
    if (folder !== null) browse.toggle(folder)
    else opened.openKey(id, { focus: this.#list.narrow })
  }

  #clickedTwice(event) {
    const folder = folderOf(event.target.closest("[role=row]")?.rowId ?? "")
    if (folder !== null && event.target.closest(".k, .v")) this.#model.page.go({ prefix: folder })
  }

  keydown(event) {
    if (event.target.id === "filter") return this.#filterKey(event)
    // Key events queued while this module was loading apply to the row that has the focus by now.
    const row = (document.activeElement ?? event.target).closest("[role=row]")
    const { browse, page } = this.#model
    if (!row || event.altKey) return
    if ((event.ctrlKey || event.metaKey) && event.key === "a") {
      event.preventDefault()
      browse.selection.set(browse.rows.keys)
      return this.#list.ticked()
    }
    if (event.ctrlKey || event.metaKey) return
    if (event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey)) {
      event.preventDefault()
      return this.#openMenu(row)
    }
    if (event.key === "x" && setting("singleKeys") === "off") return
    if (event.key === "Escape" && browse.selection.size > 0) browse.selection.clear()
    else {
      const id = row.rowId
      const done = step({
        key: event.key,
        shift: event.shiftKey,
        rows: browse.rows,
        here: browse.rows.indexOf(id),
        page: this.#list.page,
      })
      if (!done) return
      if (done.extend) this.#extend(id, done.to)
      else if (done.to !== undefined) this.#list.moveTo(done.to)
      else if (done.toggle) browse.toggle(done.toggle)
      else if (done.tick) this.#tick(id)
      else if (done.remove) this.#remove(id)
      else if (folderOf(id) !== null) page.go({ prefix: folderOf(id) })
      else this.#model.opened.openKey(id)
    }
    event.preventDefault()
    this.#model.redraw()
  }

  #filterKey(event) {
    const { browse, opened, kv } = this.#model
    if (event.key === "Escape" && browse.filter === "") event.target.blur()
    else if (event.key === "Escape") browse.setFilter("")
    else if (event.key === "Enter" && kv.held(browse.filter)) opened.openKey(browse.filter)
    else if ((event.key === "ArrowDown" || (event.key === "Enter" && browse.filter)) && browse.rows.length > 0)
      this.#list.moveTo(0)
    else return
    event.preventDefault()
  }

  /** @param {string} id */
  #tick(id) {
    const { rows } = this.#model.browse
    this.#range.toggle(rows.keysAt(rows.indexOf(id)), id)
    this.#list.ticked()
  }

  #extend(from, to) {
    this.#range.extend(this.#model.browse.rows, from, to)
    this.#list.moveTo(to)
    this.#list.ticked()
  }

  /** @param {string} id */
  async #remove(id) {
    const { browse, kv } = this.#model
    const { rows, selection } = browse
    const folder = rows.filtering ? null : folderOf(id)
    const keys = selection.size > 0 ? selection.keys : folder === null ? rows.keysAt(rows.indexOf(id)) : kv.keys(folder)
    const { remove } = await import("./actions.js")
    remove(this.#model, { keys, folder: selection.size > 0 ? null : folder })
  }

  async #openMenu(row) {
    const { openMenu } = await import("./row-menu.js")
    openMenu(this.#model, row.rowId, row.querySelector(".more"), () => this.#list.focusRow(row.rowId))
  }
}
