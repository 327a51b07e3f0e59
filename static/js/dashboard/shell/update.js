// The server runs another version than this page, or a part of the page could not be loaded: the page offers to be loaded again.

import { html, nothing, render } from "../../vendor/lit-html/lit-html.js"
import { keepDrafts } from "./kept-drafts.js"

const NEW_VERSION = "The server runs a new version."
const PART_MISSING = "A part of this page could not be loaded. The server may run a new version."

/** Whether this error says that a module could not be imported; browsers have their own words for it. */
export function isFailedImport(error) {
  return (error instanceof TypeError || error instanceof SyntaxError) && /import|module|export/i.test(error.message)
}

export class Update {
  #place
  #desk
  #reason = null
  #letGo

  /** Drawn in `place`. `letGo()` is called before the page is loaded again: what is unsaved is kept. */
  constructor(place, desk, letGo) {
    this.#place = place
    this.#desk = desk
    this.#letGo = letGo
    desk.kv.addEventListener("outdated", () => this.#offer(NEW_VERSION))
    if (desk.kv.outdated) this.#offer(NEW_VERSION)
  }

  /** A module could not be imported. Without a connection that is no wonder, and trying again helps. */
  failedToLoad(error) {
    // a module that has been read and does not fit stays so: only a new page helps
    if (error instanceof SyntaxError || this.#desk.kv.state === "live") this.#offer(this.#reason ?? PART_MISSING)
  }

  #offer(reason) {
    if (this.#desk.kv.state === "signed out") return
    this.#reason = reason
    const { typed } = this.#desk.opened
    render(
      html`
        <p>${reason} Reload the page to use it.${typed ? " What you have typed is kept." : nothing}</p>
        <button type="button" class="primary" @click=${() => this.#reload()}>Reload</button>`,
      this.#place,
    )
  }

  #reload() {
    const { page, opened } = this.#desk
    if (keepDrafts(page.username, opened.records ?? [])) this.#letGo()
    location.reload()
  }
}
