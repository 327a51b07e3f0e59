// What the dashboard shows and what can be done there, in three parts: the list (`browse`), the open key (`opened`) and what
// can be undone (`undo`). It hears what the client tells and hands it on. It never touches the document, but for the
// page that it is given; the views draw from it and call it.

import { Closed } from "./key/closed.js"
import { Browse } from "./list/browse.js"
import { Undo } from "./past/undo.js"

const RECENT = 20
const BURST = 250 // milliseconds

export class Desk {
  synced = false // whether this tab has ever held the whole space
  wasOffline = false
  lastLive = null // when we were last live, in milliseconds
  offlineSince = null // when the connection was lost, in milliseconds
  recent = [] // the keys that were open, the last first

  #kv
  #page
  #soon = null // a timer, while changes rain down: each row is drawn anew once in a while, with all that came meanwhile
  #begun = false // whether we have ever been live

  /**
   * `page` is what the desk wants from the page it is on: {username, route, go(changes, {replace, soon}), moved(), redraw(), draw() at once,
   * say(text), alert(text), news(facts of others, open key), toast(what, action), focus(where, key), signedOut()}. `go` changes the address and
   * with it `route` (see route.js); `soon`: the address may follow a little later. `moved` says that one has scrolled.
   */
  constructor(kv, page) {
    this.#kv = kv
    this.#page = page
    this.browse = new Browse(this)
    this.opened = new Closed(this)
    this.undo = new Undo(this)
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

  /** The server's time, as far as it is known. */
  now() {
    return Date.now() - this.#kv.clockAhead
  }

  redraw() {
    this.#page.redraw()
  }

  /** The address has become another one, by whoever: show what it says. */
  follow(route) {
    if (route.key !== null) this.recent = [route.key, ...this.recent.filter((key) => key !== route.key)].slice(0, RECENT)
    this.browse.follow(route)
    this.opened.follow(route)
    this.redraw()
  }

  /** What this browser kept is here, as it was at that time. */
  #restored(at) {
    this.synced = true
    this.lastLive = at
    this.redraw()
  }

  #changed(facts) {
    // What has changed since this page was last open is news only to those who have looked at it without a connection.
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
      if (!this.wasOffline) this.#page.say(`Offline. What you save is kept in this ${this.#kv.keepsPending ? "browser" : "tab"} until the connection is back.`)
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
