// The model of the activity page: the writes to all keys of the user, and the filter. No DOM.

import { kindsOf, standsStill } from "./change-kinds.js"
import { isBy, mentions } from "./filters.js"
import { lastLook, rememberLook } from "./last-visit.js"
import { WriteFollower } from "./write-follower.js"
import { WritePages } from "./write-pages.js"

/**
 * @import { DashboardModel } from "../dashboard-model.js"
 * @import { Route } from "../route.js"
 */

const PAGE = 100
const LOOK_THROUGH = 1_000 // writes that a filter with few matches searches before it asks the user to continue
const ENOUGH = 30
const STEP = 100 // rows
const MOST_ASKED = 100 // keys of a write that are checked before an undo is offered; the server checks all
const AWAY = 60_000 // after so long without a look the user counts as away
const REMEMBER_EVERY = 5_000

export class ActivityModel {
  /**
   * The position of this browser's last look, or null; kept while the page is shown.
   * @type {{ epoch: string, revision: number, at: number } | null}
   */
  before = null
  opened = new Set() // revisions of bulk writes whose keys are shown
  tokens = new Set() // ids of the user's API tokens
  visible = STEP // rows that are drawn

  #model
  #writes
  #follower
  #looked = -Infinity
  #remembered = -Infinity
  #budget = LOOK_THROUGH
  #question = ""
  /** @type {{ list?: object, question?: string, tokens?: number, items?: any }} */
  #made = {}
  #still = { at: null, known: new Map() }

  /** @param {DashboardModel} model */
  constructor(model) {
    this.#model = model
    this.#writes = new WritePages(
      (page) => model.kv.history(page),
      () => model.redraw(),
      PAGE,
    )
    this.#follower = new WriteFollower(model.kv, this.#writes, () => this.#forget())
  }

  get writes() {
    return this.#writes
  }

  /** The number of writes newer than the loaded ones. */
  get fresh() {
    return this.#writes.loaded ? Math.max(0, this.#model.kv.position.revision - this.#writes.newest) : 0
  }

  /** Whether the search has reached its limit, and can be continued. */
  get paused() {
    return !this.#writes.ended && this.#writes.list.length >= this.#budget
  }

  /** Keep the feed up to date. Call with every draw. `held`: do not load new writes now. */
  look(held) {
    const now = performance.now()
    // the data set is known once the tab has caught up
    const { dataSet } = this.#model.kv
    if (dataSet !== null && now - this.#looked > AWAY) this.before = this.#lastLook()
    if (dataSet !== null) this.#looked = now
    this.#follower.look(() => !held && this.fresh > 0)
    if (this.#writes.loaded && now - this.#remembered > REMEMBER_EVERY) this.#remember(now)
  }

  /** Load the new writes. */
  show() {
    this.#writes.newer()
  }

  again() {
    this.#follower.again()
  }

  /** Show more rows, and load more writes if there are none left. */
  showOlder() {
    this.visible += STEP
    if (this.visible > this.#writes.list.length) this.#writes.older()
    this.#model.redraw()
  }

  lookFurther() {
    this.#budget = this.#writes.list.length + LOOK_THROUGH
    this.#writes.older()
  }

  /**
   * Return the writes that match the route, newest first: [{write, kinds, matching}]; `matching` is the part
   * of `kinds` that matches.
   * @param {Route} route
   */
  items(route) {
    const { list } = this.#writes
    const question = JSON.stringify([route.q, route.who, route.prefix, route.away])
    if (question !== this.#question) this.#budget = Math.max(LOOK_THROUGH, list.length)
    this.#question = question
    if (this.#made.list !== list || this.#made.question !== question || this.#made.tokens !== this.tokens.size)
      this.#made = { list, question, tokens: this.tokens.size, items: this.#select(route) }
    const { items } = this.#made
    if (isFiltered(route) && items.length < ENOUGH && this.#writes.loaded && !this.#writes.refusal && !this.paused)
      this.#writes.older()
    return items
  }

  /** The number of loaded writes by others since the last look. */
  get away() {
    return this.#writes.list.filter((write) => this.#isNews(write)).length
  }

  /** Whether an undo of this write is worth offering: its keys have not been written since. */
  standsStill(write) {
    const { kv } = this.#model
    if (this.#still.at !== kv.position.revision) this.#still = { at: kv.position.revision, known: new Map() }
    const { known } = this.#still
    if (!known.has(write))
      known.set(
        write,
        standsStill({ ...write, ops: write.ops.slice(0, MOST_ASKED) }, (key) => kv.entry(key)),
      )
    return known.get(write)
  }

  /** Reset: revisions of another data set do not apply to these writes. */
  #forget() {
    this.before = this.#lastLook()
    this.opened.clear()
  }

  /** @param {Route} route */
  #select(route) {
    const { kv } = this.#model
    const us = { session: kv.session?.id, wrote: (revision) => kv.wrote(revision), tokens: this.tokens }
    const kinds = kindsOf(this.#writes.list)
    return this.#writes.list.flatMap((write, i) => {
      if (!isBy(route.who, write, us) || (route.away && !this.#isNews(write))) return []
      const matching = kinds[i].filter(({ op }) => op.key.startsWith(route.prefix) && mentions(op, route.q))
      return matching.length > 0 ? [{ write, kinds: kinds[i], matching }] : []
    })
  }

  #isNews({ revision, origin }) {
    return this.before !== null && revision > this.before.revision && origin.session !== this.#model.kv.session?.id
  }

  #lastLook() {
    const look = lastLook(this.#model.page.username)
    return look?.epoch === this.#model.kv.dataSet ? look : null
  }

  /** @param {number} now */
  #remember(now) {
    this.#remembered = now
    rememberLook(this.#model.page.username, {
      epoch: this.#model.kv.dataSet,
      revision: this.#writes.newest,
      at: this.#model.now(),
    })
  }
}

export function isFiltered({ q, who, prefix, away }) {
  return q !== "" || who !== "all" || prefix !== "" || away !== null
}
