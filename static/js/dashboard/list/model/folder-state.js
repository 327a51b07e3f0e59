// The open state of folders: as the user chose, otherwise small ones are open. Stored in this browser, for one user
// only. No DOM.

const SMALL = 100 // keys up to which a folder is open by default
const FEW = 1_000 // keys in total up to which that applies
const MOST = 500 // remembered choices
const NAME = "rkv-folders"

export class FolderState {
  #open = new Map() // folder → whether it is open, by default at first sight or as chosen
  #chosen = new Map()

  /** `chosen`: {folder: whether it is open}, as the property `chosen` returns it. */
  constructor(chosen = {}) {
    this.chosen = chosen
  }

  /**
   * Whether a folder with `count` of `of` keys is open. The result is kept when keys are added.
   * @param {string} folder
   * @param {number} count
   * @param {number} of
   */
  isOpen(folder, count, of) {
    const known = this.#open.get(folder)
    if (known !== undefined) return known
    const open = count === of || (count <= SMALL && of <= FEW)
    this.#open.set(folder, open)
    return open
  }

  /**
   * @param {string} folder
   * @param {boolean} open
   */
  choose(folder, open) {
    this.#open.set(folder, open)
    this.#chosen.delete(folder)
    this.#chosen.set(folder, open)
    if (this.#chosen.size > MOST) this.#chosen.delete(this.#chosen.keys().next().value)
  }

  get chosen() {
    return Object.fromEntries(this.#chosen)
  }

  set chosen(chosen) {
    this.#chosen = new Map(Object.entries(chosen).filter(([, open]) => typeof open === "boolean"))
    for (const [folder, open] of this.#chosen) this.#open.set(folder, open)
  }
}

/**
 * Return {folder: whether it is open}, as this user left it.
 * @param {string} user
 */
export function recall(user) {
  try {
    const kept = JSON.parse(localStorage.getItem(NAME) ?? "{}")
    return kept?.user === user && kept.open instanceof Object ? kept.open : {}
  } catch {
    return {} // storage may be switched off, or contain other data
  }
}

/** @param {string} user @param {Record<string, boolean>} open */
export function remember(user, open) {
  try {
    localStorage.setItem(NAME, JSON.stringify({ user, open }))
  } catch {
    // then the state lasts as long as the page
  }
}
