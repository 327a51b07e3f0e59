// Tracks the keys that other tabs of this browser are editing. Each tab announces when it begins and ends, and other
// tabs that edit the same key reply to a begin.

export class EditingPresence {
  #channel
  #mine = new Set()
  #theirs = new Map() // key → the tabs that edit it
  #tab = Math.random().toString(36).slice(2)
  #changed

  /**
   * `name` keeps users apart; `changed()` is called when the result of `has` may have changed.
   * @param {string} name
   * @param {() => void} changed
   */
  constructor(name, changed) {
    this.#changed = changed
    this.#channel = new BroadcastChannel(`rkv editing ${name}`)
    this.#channel.onmessage = ({ data }) => this.#heard(data)
    addEventListener("pagehide", () => this.editing([]))
  }

  /**
   * Whether another tab also edits this key. True only for keys that this tab edits.
   * @param {string} key
   */
  has(key) {
    return this.#mine.has(key) && (this.#theirs.get(key)?.size ?? 0) > 0
  }

  /**
   * Set the keys that this tab is editing.
   * @param {string[]} keys
   */
  editing(keys) {
    const now = new Set(keys)
    for (const key of this.#mine) if (!now.has(key)) this.#tell("ends", key)
    for (const key of now) if (!this.#mine.has(key)) this.#tell("begins", key)
    this.#mine = now
  }

  /**
   * @param {string} key
   * @param {string} what
   */
  #tell(what, key) {
    this.#channel.postMessage({ what, key, tab: this.#tab })
  }

  /** @param {{ what: string, key: string, tab: string }} message */
  #heard({ what, key, tab }) {
    const tabs = this.#theirs.get(key) ?? new Set()
    if (what === "ends") tabs.delete(tab)
    else tabs.add(tab)
    this.#theirs.set(key, tabs)
    if (tabs.size === 0) this.#theirs.delete(key)
    if (what === "begins" && this.#mine.has(key)) this.#tell("edits too", key)
    this.#changed()
  }
}
