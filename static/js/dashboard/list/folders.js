// Which folders are open: as it was chosen, else small ones are. This browser remembers it, but not for whoever signs in after them. No DOM.

const SMALL = 100 // keys in a folder that is open by itself
const FEW = 1_000 // keys in all, up to which any is
const MOST = 500 // that are remembered
const NAME = "rkv-folders"

export class Folders {
  #open = new Map() // folder → whether it is open, as it was when we first saw it or as it was chosen
  #chosen

  /** `chosen`: {folder: whether it is open}, as `chosen` tells it. */
  constructor(chosen = {}) {
    this.chosen = chosen
  }

  /** Whether a folder is open that holds `count` of `of` keys. It stays so, whatever comes into it. */
  isOpen(folder, count, of) {
    const known = this.#open.get(folder)
    if (known !== undefined) return known
    const open = count === of || (count <= SMALL && of <= FEW)
    this.#open.set(folder, open)
    return open
  }

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

/** {folder: whether it is open}, as this user left it. */
export function recall(user) {
  try {
    const kept = JSON.parse(localStorage.getItem(NAME) ?? "{}")
    return kept?.user === user && kept.open instanceof Object ? kept.open : {}
  } catch {
    return {} // storage may be switched off, or hold something else
  }
}

export function remember(user, open) {
  try {
    localStorage.setItem(NAME, JSON.stringify({ user, open }))
  } catch {
    // then it lasts as long as the page
  }
}
