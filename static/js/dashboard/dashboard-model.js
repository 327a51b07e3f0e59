// The dashboard's model, in three parts: the list (`browse`), the open key (`opened`) and undo (`undo`). It passes the
// client's events on to them. It never touches the document except through the page object that it is given; the views
// draw from it and call it.

import { Undo } from "./history/undo-loader.js"
import { OpenKeyStub } from "./key/model/open-key-loader.js"
import { ListModel } from "./list/model/list-model.js"

/**
 * @import { KeyChange } from "../client/key-change.js"
 * @import { Route } from "./route.js"
 * @import { Client } from "../client/client.js"
 * @import { UndoManager } from "./history/undo.js"
 * @import { OpenKey } from "./key/model/open-key.js"
 * @import { Page } from "./main.js"
 */

const RECENT = 20
const BURST = 250 // milliseconds

export class DashboardModel {
  synced = false // whether this tab has ever held the whole space
  wasOffline = false
  /** @type {number | null} */
  lastLive = null // when the connection was last live, in milliseconds
  /** @type {number | null} */
  offlineSince = null // when the connection was lost, in milliseconds
  /** @type {string[]} */
  recent = [] // the recently opened keys, the latest first

  #kv
  #page
  /** @type {ReturnType<typeof setTimeout> | null} */
  #soon = null // timer during a burst of changes: rows are redrawn once per interval, with all changes so far
  #begun = false // whether the connection has ever been live

  /**
   * `page` is the interface to the page: {username, route, go(changes, {replace, soon}), moved(), redraw(), draw(),
   * say(text), alert(text), news(facts of others, open key), toast(what, action), focus(where, key), signedOut()}.
   * `draw` draws at once. `go` changes the address and with it `route` (see route.js); with `soon` the address may
   * follow a little later. `moved` reports that the list was scrolled.
   *
   * @param {Client} kv
   * @param {Page} page
   */
  constructor(kv, page) {
    this.#kv = kv
    this.#page = page
    this.browse = new ListModel(kv, page)
    /** @type {OpenKey & { load?(): Promise<unknown> }} */
    this.opened = /** @type {any} */ (new OpenKeyStub(this))
    /** @type {Undo & Pick<UndoManager, "last" | "redo" | "take">} */
    this.undo = /** @type {any} */ (new Undo(this))
    kv.addEventListener("change", ({ detail }) => this.#changed(detail.facts))
    kv.addEventListener("state", () => this.#stateChanged())
    kv.addEventListener("pending", () => this.#pendingChanged())
    kv.addEventListener("presence", () => page.redraw())
    kv.addEventListener("restored", ({ detail }) => this.#restored(detail.at))
    kv.addEventListener("adopted", ({ detail }) => this.opened.adopt(detail.write, detail.settled))
    kv.addEventListener("notice", ({ detail }) => page.toast(detail.message))
  }

  get kv() {
    return this.#kv
  }
  get page() {
    return this.#page
  }
  get route() {
    return this.#page.route
  }

  /** The server's time in milliseconds, as far as it is known. */
  now() {
    return Date.now() - this.#kv.clockAhead
  }

  redraw() {
    this.#page.redraw()
  }

  /**
   * Show the given route, after any change of the address.
   * @param {Route} route
   */
  follow(route) {
    if (route.key !== null)
      this.recent = [route.key, ...this.recent.filter((key) => key !== route.key)].slice(0, RECENT)
    this.browse.follow(route)
    this.opened.follow(route)
    this.redraw()
  }

  /**
   * Record that the state kept in this browser is loaded, and that it dates from `at`.
   * @param {number} at
   */
  #restored(at) {
    this.synced = true
    this.lastLive = at
    this.redraw()
  }

  /** @param {KeyChange[]} facts */
  #changed(facts) {
    // Changes since the page was last open are news only to a user who has seen the page without a connection.
    const first = !this.synced || (!this.#begun && !this.wasOffline)
    this.browse.changed(facts, first)
    this.opened.changed(facts)
    const others = first ? [] : facts.filter(({ mine }) => !mine)
    if (others.length > 0) this.#page.news(others, this.route.key)
    if (others.length < facts.length || !this.browse.marks.bursting(Date.now())) this.redraw()
    else this.#soon ??= setTimeout(() => this.#drawBurst(), BURST)
  }

  #drawBurst() {
    this.#soon = null
    this.redraw()
  }

  #stateChanged() {
    const { state } = this.#kv
    if (state === "live") {
      this.lastLive = null
      this.offlineSince = null
      if (!this.#begun) this.#begin()
      if (this.wasOffline && this.synced) this.#backOnline()
      this.synced = true
      this.wasOffline = false
    } else if (this.#begun) this.lastLive ??= Date.now()
    if (state === "offline") {
      this.offlineSince ??= Date.now()
      if (!this.wasOffline)
        this.#page.say(
          `Offline. What you save is kept in this ${this.#kv.keepsPending ? "browser" : "tab"} until the connection is back.`,
        )
      this.wasOffline = true
      this.browse.showAway(false)
    }
    if (state === "signed out") this.#page.signedOut()
    this.redraw()
  }

  #begin() {
    this.#begun = true
    this.opened.begin()
  }

  #backOnline() {
    const { size } = this.browse.away
    const changed = size === 0 ? "" : ` ${size} ${size === 1 ? "key" : "keys"} changed while you were away.`
    this.#page.say(`Back online.${changed}`)
    this.#page.toast(`Back online.${changed}`)
  }

  #pendingChanged() {
    this.browse.pendingChanged()
    this.redraw()
  }
}
