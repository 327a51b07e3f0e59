// The model of the list: the keys, their order, highlighted changes, and the selection. No DOM.

import { choose, setting } from "../../../lib/settings.js"
import { whoWrote } from "../../shared/texts.js"
import { ChangeHighlights, LEAVING } from "./change-highlights.js"
import { FolderState, recall, remember } from "./folder-state.js"
import { RowIndex } from "./row-index.js"
import { Selection } from "./selection.js"
import { folderRow } from "./tree.js"

/**
 * @import { View } from "./row-index.js"
 * @import { Route } from "../../route.js"
 * @import { KeyChange } from "../../../client/key-change.js"
 * @import { Client } from "../../../client/client.js"
 */

const MANY = 500 // facts at once, above which the rows are rebuilt
const FEW = 5_000 // matches up to which folders are unfolded
const SLICE = 10 // milliseconds of search preparation before other work gets a turn

export class ListModel {
  rows = new RowIndex(
    (key) => this.entry(key),
    (folder, count, of) => (this.#unfolds(of) ? !this.#closed.has(folder) : this.#folders.isOpen(folder, count, of)),
  )
  marks = new ChangeHighlights()
  selection = new Selection()
  /** @type {string | null} */
  current = null // the row with the tab stop
  unsent = new Set() // keys of waiting writes
  away = new Set() // keys that others changed while this tab was offline
  held = new Set() // keys that others changed since the rows were last sorted

  #kv
  #page
  #folders
  #closed = new Set() // folders that the user closed among the matches of this filter
  #leaving = new Set() // deleted keys whose rows are fading out
  /** @type {import("./paused-changes.js").PausedChanges | null} */
  #still = null // the changes held back while the list is paused
  #equipped = false // whether the search and sort modules are loaded
  #making = false // whether the texts for a search are being created
  /** @type {ReturnType<typeof setTimeout> | null} */
  #due = null // timer until the rows may be rebuilt

  /**
   * @param {Client} kv
   * @param {{
   *   username: string, go(changes: Partial<Route>, how: { replace?: boolean, soon?: boolean }): void,
   *   say(text: string): void, redraw(): void
   * }} page
   */
  constructor(kv, page) {
    this.#kv = kv
    this.#page = page
    this.#folders = new FolderState(recall(page.username))
  }

  /**
   * Return the entry of a key as the list shows it.
   * @param {string} key
   */
  entry(key) {
    const waiting = this.#still?.facts.get(key)
    return waiting ? waiting.old : this.#kv.held(key)
  }

  // --- what is shown ---

  get filter() {
    return this.rows.view.q
  }

  /** @param {string} q */
  setFilter(q) {
    this.#page.go({ q }, { replace: true, soon: true })
  }

  /**
   * Set the view, "tree" or "list", now and as the default.
   * @param {"tree" | "list"} view
   */
  setView(view) {
    choose("view", view)
    this.#page.go({ view }, { replace: true })
  }

  /**
   * Show only the keys that changed while this tab was offline, or all keys again.
   * @param {boolean} only
   */
  showAway(only) {
    if (!only) this.away.clear()
    this.rows.show({ only: only ? this.away : null })
    this.#page.redraw()
  }

  /** @param {Route} route */
  follow({ page, prefix, q, sort, view }) {
    const wanted = { prefix, q, sort, tree: (view ?? setting("view")) === "tree" }
    const now = this.rows.view
    if (
      page !== "keys" ||
      Object.entries(wanted).every(([name, value]) => value === now[/** @type {keyof View} */ (name)])
    )
      return
    if (q !== now.q) this.#closed.clear()
    this.rows.show(wanted)
    this.held.clear()
    if (this.rows.partial || sort !== "key") this.prepareSearch()
  }

  /** Prepare a search in the values, one slice at a time. */
  async prepareSearch() {
    if (this.#making) return
    this.#making = true
    try {
      await this.loadRest()
      while (!this.rows.prepare(SLICE)) await new Promise((resolve) => setTimeout(resolve))
      if (this.rows.partial) this.rows.make()
      this.#page.redraw()
    } catch {
      // without a connection; the next search tries again
    }
    this.#making = false
  }

  /** Load the search and sort modules. */
  async loadRest() {
    if (this.#equipped) return
    this.rows.equip(await import("./search-bundle.js"))
    this.#equipped = true
  }

  /**
   * Open or close a folder; without `open`, toggle it.
   * @param {string} folder
   */
  toggle(folder, open = !this.rows.shows(this.rows.indexOf(folderRow(folder)))) {
    if (!this.#unfolds(this.rows.keys.length)) {
      this.#folders.choose(folder, open)
      remember(this.#page.username, this.#folders.chosen)
    } else if (open) this.#closed.delete(folder)
    else this.#closed.add(folder)
    this.rows.make()
    this.#page.redraw()
  }

  selectAll() {
    this.selection.set(this.rows.keys)
    this.ticked()
  }

  /** Handle a change of the selection. */
  ticked() {
    this.#page.say(`${this.selection.size} selected`)
    this.#page.redraw()
  }

  /**
   * Whether this number of matches is shown with all folders unfolded.
   * @param {number} count
   */
  #unfolds(count) {
    return this.rows.filtering && count <= FEW
  }

  /** The part of the list's state that a history entry stores. */
  get place() {
    return { open: this.#folders.chosen, ticked: this.selection.keys.slice(0, MANY) }
  }

  set place({ open, ticked }) {
    this.#folders.chosen = open
    this.selection.set(ticked.filter((key) => this.entry(key)))
    this.rows.make()
  }

  // --- changes ---

  /**
   * Apply these facts; `first`: they come from the first sync.
   * @param {KeyChange[]} facts
   * @param {boolean} first
   */
  changed(facts, first) {
    this.#apply(this.#still?.hold(facts) ?? facts, first)
  }

  pendingChanged() {
    const before = this.unsent
    this.unsent = new Set(this.#kv.pending.flatMap(({ keys }) => keys))
    for (const key of this.unsent) this.rows.add(key)
    for (const key of before) if (!this.unsent.has(key) && !this.#leaving.has(key)) this.#dropRow(key)
    this.rows.settle(Infinity)
  }

  /**
   * Rebuild the rows if due. While they are `used`, by pointer or focus, an order by time is not updated.
   * @param {boolean} used
   */
  settle(used) {
    if (used && this.held.size > 0) return
    const wait = this.rows.settle(performance.now())
    if (wait === 0) this.held.clear()
    else
      this.#due ??= setTimeout(() => {
        this.#due = null
        this.#page.redraw()
      }, wait)
  }

  showHeld() {
    this.held.clear()
    this.rows.make()
    this.#page.redraw()
  }

  // --- pausing ---

  get paused() {
    return this.#still !== null
  }

  /** The number of keys that have changed since the list was paused. */
  get waiting() {
    return this.#still?.facts.size ?? 0
  }

  /** Pause the list, or resume it and apply the held changes. */
  async pause() {
    const { PausedChanges } = await import("./paused-changes.js")
    const still = this.#still
    this.#still = still ? null : new PausedChanges()
    if (still) this.#apply([...still.facts.values()], false)
    this.#page.say(still ? "The list is live again" : "The list stands still")
    this.#page.redraw()
  }

  /**
   * @param {KeyChange[]} facts
   * @param {boolean} first
   */
  #apply(facts, first) {
    const now = Date.now()
    if (facts.length > MANY) this.#replaceRows()
    for (const fact of facts) {
      if (facts.length <= MANY) this.#placeRow(fact)
      if (!fact.entry) this.selection.drop(fact.key)
      if (first || fact.mine) continue
      this.#mark(fact, now)
      if (this.rows.byTime) this.held.add(fact.key)
      if (fact.resync) this.away.add(fact.key)
    }
    if (facts.some(({ mine }) => mine)) this.rows.settle(Infinity)
  }

  #replaceRows() {
    this.rows.replace([...new Set([...this.#kv.keys(), ...this.unsent])])
  }

  /** @param {KeyChange} change */
  #placeRow({ key, entry, mine }) {
    this.#leaving.delete(key)
    if (entry) return this.rows.add(key)
    if (mine || !this.rows.has(key)) return this.#dropRow(key)
    // Deleted elsewhere: the row stays for a moment, so that the user sees which key was deleted.
    this.#leaving.add(key)
    setTimeout(() => this.#leaving.delete(key) && this.#dropRow(key), LEAVING)
  }

  /** @param {string} key */
  #dropRow(key) {
    if (this.entry(key) || this.unsent.has(key)) return
    this.rows.remove(key)
    this.#page.redraw()
  }

  /** @param {KeyChange} change @param {number} now */
  #mark({ key, entry, old, origin, resync }, now) {
    const kind = !entry ? "gone" : old ? "changed" : "new"
    this.marks.note(key, kind, whoWrote(origin), now, resync)
  }
}
