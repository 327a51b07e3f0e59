// What has happened to all keys of the user, and which of it one wants to see. No DOM.

import { deedsOf, standsStill } from "./deeds.js"
import { isBy, mentions } from "./filters.js"
import { Follower } from "./follower.js"
import { lastLook, rememberLook } from "./last-look.js"
import { Writes } from "./writes.js"

const PAGE = 100
const LOOK_THROUGH = 1_000 // writes, for a filter that few of them pass, before one is asked
const ENOUGH = 30
const STEP = 100 // rows
const MOST_ASKED = 100 // keys of a write that are looked at before an undo is offered; the server looks at all
const AWAY = 60_000 // who has not looked for so long was away
const REMEMBER_EVERY = 5_000

export class Feed {
  /** Where this browser stood when it looked last, {epoch, revision, at}, or null; kept while one looks. */
  before = null
  opened = new Set() // revisions of bulk writes whose keys are shown
  tokens = new Set() // ids of the user's API tokens
  visible = STEP // rows that are drawn

  #desk
  #writes
  #follower
  #looked = -Infinity
  #remembered = -Infinity
  #budget = LOOK_THROUGH
  #question = ""
  #made = {}
  #still = { at: null, known: new Map() }

  constructor(desk) {
    this.#desk = desk
    this.#writes = new Writes((page) => desk.kv.history(page), () => desk.redraw(), PAGE)
    this.#follower = new Follower(desk.kv, this.#writes, () => this.#forget())
  }

  get writes() {
    return this.#writes
  }

  /** How many writes there are above those that are shown. */
  get fresh() {
    return this.#writes.loaded ? Math.max(0, this.#desk.kv.position.revision - this.#writes.newest) : 0
  }

  /** Whether one has looked as far back as one wanted to, and may look further. */
  get paused() {
    return !this.#writes.ended && this.#writes.list.length >= this.#budget
  }

  /** To be called whenever it is shown. `held`: nothing new is to come in now. */
  look(held) {
    const now = performance.now()
    // which data set this is, is known once the tab has caught up
    const { dataSet } = this.#desk.kv
    if (dataSet !== null && now - this.#looked > AWAY) this.before = this.#lastLook()
    if (dataSet !== null) this.#looked = now
    this.#follower.look(() => !held && this.fresh > 0)
    if (this.#writes.loaded && now - this.#remembered > REMEMBER_EVERY) this.#remember(now)
  }

  /** Lets what is new come in. */
  show() {
    this.#writes.newer()
  }

  again() {
    this.#follower.again()
  }

  /** More rows, as many as there are writes for. */
  showOlder() {
    this.visible += STEP
    if (this.visible > this.#writes.list.length) this.#writes.older()
    this.#desk.redraw()
  }

  lookFurther() {
    this.#budget = this.#writes.list.length + LOOK_THROUGH
    this.#writes.older()
  }

  /** Newest first: [{write, deeds, matching}] of what the route asks for; `matching` are those of the deeds that do. */
  items(route) {
    const { list } = this.#writes
    const question = JSON.stringify([route.q, route.who, route.prefix, route.away])
    if (question !== this.#question) this.#budget = Math.max(LOOK_THROUGH, list.length)
    this.#question = question
    if (this.#made.list !== list || this.#made.question !== question || this.#made.tokens !== this.tokens.size)
      this.#made = { list, question, tokens: this.tokens.size, items: this.#select(route) }
    const { items } = this.#made
    if (isFiltered(route) && items.length < ENOUGH && this.#writes.loaded && !this.#writes.refusal && !this.paused) this.#writes.older()
    return items
  }

  /** Writes by others that came after the last look, as far as they are loaded. */
  get away() {
    return this.#writes.list.filter((write) => this.#isNews(write)).length
  }

  /** Whether it makes sense to undo this write: nobody has touched its keys since. */
  standsStill(write) {
    const { kv } = this.#desk
    if (this.#still.at !== kv.position.revision) this.#still = { at: kv.position.revision, known: new Map() }
    const { known } = this.#still
    if (!known.has(write)) known.set(write, standsStill({ ...write, ops: write.ops.slice(0, MOST_ASKED) }, (key) => kv.entry(key)))
    return known.get(write)
  }

  /** Revisions of another data set say nothing about these writes. */
  #forget() {
    this.before = this.#lastLook()
    this.opened.clear()
  }

  #select(route) {
    const { kv } = this.#desk
    const us = { session: kv.session?.id, wrote: (revision) => kv.wrote(revision), tokens: this.tokens }
    const deeds = deedsOf(this.#writes.list)
    return this.#writes.list.flatMap((write, i) => {
      if (!isBy(route.who, write, us) || (route.away && !this.#isNews(write))) return []
      const matching = deeds[i].filter(({ op }) => op.key.startsWith(route.prefix) && mentions(op, route.q))
      return matching.length > 0 ? [{ write, deeds: deeds[i], matching }] : []
    })
  }

  #isNews({ revision, origin }) {
    return this.before !== null && revision > this.before.revision && origin.session !== this.#desk.kv.session?.id
  }

  #lastLook() {
    const look = lastLook(this.#desk.page.username)
    return look?.epoch === this.#desk.kv.dataSet ? look : null
  }

  #remember(now) {
    this.#remembered = now
    rememberLook(this.#desk.page.username, { epoch: this.#desk.kv.dataSet, revision: this.#writes.newest, at: this.#desk.now() })
  }
}

export function isFiltered({ q, who, prefix, away }) {
  return q !== "" || who !== "all" || prefix !== "" || away !== null
}
