// Conflict scenario: one key is edited on two devices while the second is disconnected. After its reconnection the
// conflict is shown and merged, with the dashboard's own drafts and merge.

import { Draft } from "../dashboard/key/model/draft.js"
import { mergeJson } from "../dashboard/key/model/three-way-merge.js"

export const KEY = "party"
const AWAY = 9
const TYPING = 45
const TO_READ = 4_000

export class Story {
  over = false
  /** Whether the scenario is running: no other connection is cut meanwhile. */
  wantsPeace = false
  /** A sentence about the present step. */
  sentence = "Two people will edit the same key in a moment."
  /** Both editors: {device, draft, saved}. */
  editors = []
  merged = false

  #cutSecond
  /** @type {((value?: unknown) => void) | null} */
  #release = null

  constructor(first, second, cutSecond) {
    this.editors = [first, second].map((device) => ({ device, draft: null, saving: false }))
    this.#cutSecond = cutSecond
  }

  async tell() {
    const [first, second] = this.editors
    this.wantsPeace = true
    await first.device.set(KEY, { where: "Berlin", guests: 12, cake: true })
    await until(() => second.device.kv.entry(KEY) && first.device.kv.entry(KEY))
    for (const editor of this.editors) this.#open(editor)
    this.sentence = `${second.device.name} is cut off, and edits all the same.`
    this.#cutSecond(AWAY)
    await until(() => second.device.kv.state !== "live")
    await Promise.all([this.#type(first, '"Berlin"', '"Oslo"'), this.#type(second, "12", "31")])
    this.sentence = `${first.device.name} saves. ${second.device.name} cannot know.`
    await this.#save(first)
    await until(() => second.draft.conflict)
    this.sentence = `${second.device.name} is back: both have edited. Nothing is overwritten.`
    // The viewer may press the button; after a pause the merge happens by itself.
    await Promise.race([new Promise((press) => (this.#release = press)), pause(TO_READ)])
    await this.#merge(second)
    this.sentence = "Merged: both edits stand, on every device."
    this.merged = true
    this.wantsPeace = false
    this.over = true
  }

  /** Handle a press of "Merge both". */
  press() {
    this.#release?.()
  }

  #open(editor) {
    const { kv } = editor.device
    editor.draft = new Draft(KEY, kv.entry(KEY))
    kv.on(KEY, ({ entry, origin }) => editor.draft.entryIs(entry ?? null, origin))
  }

  async #type(editor, old, text) {
    for (let typed = 0; typed <= text.length; typed++) {
      const before = typed === 0 ? old : text.slice(0, typed - 1)
      const at = typed === 0 ? editor.draft.text.indexOf(old) : editor.at
      editor.at = at
      const { draft } = editor
      draft.type(draft.text.slice(0, at) + text.slice(0, typed) + draft.text.slice(at + before.length))
      await pause(TYPING * 4)
    }
  }

  async #save(editor) {
    const { draft, device } = editor
    draft.saving = draft.text
    await device.set(KEY, draft.reading.value, { ifRevision: draft.ifRevision })
    draft.saving = null
  }

  async #merge(editor) {
    const { draft } = editor
    const base = draft.base.value
    const { value } = /** @type {{ value: any }} */ (mergeJson(base, draft.reading.value, draft.conflict.entry.value))
    draft.keepMine()
    draft.type(JSON.stringify(value, null, 2))
    await this.#save(editor)
  }
}

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds))

async function until(true_) {
  while (!true_()) await pause(50)
}
