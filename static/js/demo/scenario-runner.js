// Scenario runner of the demonstration: schedules the server kills, the cuts of connections, the scenario of one
// key edited on two devices, and the end. The demo server kills and cuts, as a page cannot.

import { Story } from "./conflict-scenario.js"

const KILL_EVERY = 8_000
const CUT_EVERY = 3_500
const STORY_AFTER = 8_000
const SETTLED = 60_000

export class Director {
  /** `playing`, `settling`, `over`. */
  phase = "playing"
  /** @type {object | null} */
  outcome = null
  remaining = 0
  deadline = 0

  #devices
  #stage
  #began = performance.now()

  constructor(devices, stage) {
    this.#devices = devices
    this.#stage = stage
    this.story = new Story(devices[0], devices[1], (seconds) => stage.cut(1, seconds))
  }

  begin() {
    for (const device of this.#devices) device.writing = true
    this.#every(16, () => {
      for (const device of this.#devices) device.paint(3)
    })
    this.#every(KILL_EVERY, () => this.#mayDisturb() && this.#stage.kill(), KILL_EVERY / 3)
    this.#every(
      CUT_EVERY,
      () => this.#mayDisturb() && !this.story.wantsPeace && this.#stage.cut(this.#someDevice(), 1 + Math.random() * 2),
    )
    this.#every(250, () => this.#look())
    setTimeout(() => this.story.tell(), Math.min(STORY_AFTER, (this.#stage.seconds * 1_000) / 5))
  }

  #look() {
    this.remaining = Math.max(0, this.#stage.seconds * 1_000 - (performance.now() - this.#began))
    if (this.phase === "playing" && this.remaining === 0 && this.story.over) this.#settle()
    if (this.phase === "settling" && this.#settled()) this.#end()
  }

  #mayDisturb() {
    return this.phase === "playing" && this.remaining > 2_000
  }

  #someDevice() {
    return Math.floor(Math.random() * this.#devices.length)
  }

  #settle() {
    this.phase = "settling"
    for (const device of this.#devices) device.writing = false
    this.deadline = performance.now() + SETTLED
  }

  /** Return whether all writes are answered and all replicas are at the same revision, or the time limit has passed. */
  #settled() {
    const revisions = new Set([...this.#devices.map(({ kv }) => kv.position.revision), this.#stage.watcher.revision])
    const quiet = this.#devices.every(({ kv }) => kv.state === "live" && kv.pending.length === 0)
    return (quiet && revisions.size === 1) || performance.now() > this.deadline
  }

  #end() {
    this.phase = "over"
    const digests = [...this.#devices.map(({ kv }) => kv.digest), this.#stage.watcher.digest]
    const last = new Map()
    for (const { acknowledged } of this.#devices)
      for (const [key, revision] of acknowledged) if (revision > (last.get(key) ?? 0)) last.set(key, revision)
    this.outcome = {
      changes: this.#devices[0].kv.position.revision,
      missed: this.#devices.reduce((missed, device) => missed + device.missing(last), 0),
      equal: digests.filter((digest) => digest === digests[0]).length,
      devices: digests.length,
    }
    this.#stage.end(this.outcome)
  }

  #every(milliseconds, fn, first = milliseconds) {
    const again = () => {
      fn()
      if (this.phase !== "over") setTimeout(again, milliseconds)
    }
    setTimeout(again, first)
  }
}
