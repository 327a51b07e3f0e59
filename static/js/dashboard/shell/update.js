// Offers to reload the page: the server runs another version than this page, or a part of the page failed to load.

import { html, nothing, render } from "../../vendor/lit-html/lit-html.js"
import { keepDrafts } from "./kept-drafts.js"

/** @import { DashboardModel } from "../dashboard-model.js" */

const NEW_VERSION = "The server runs a new version."
const PART_MISSING = "A part of this page could not be loaded."

/** Whether this error says that a module could not be imported; each browser words it differently. */
export function isFailedImport(error) {
  return (error instanceof TypeError || error instanceof SyntaxError) && /import|module|export/i.test(error.message)
}

export class Update {
  #place
  #model
  #reason = null
  #letGo

  /**
   * Rendered in `place`. `letGo(kept)` prepares a reload; `kept`: the unsaved text is stored.
   * @param {DashboardModel} model
   */
  constructor(place, model, letGo) {
    this.#place = place
    this.#model = model
    this.#letGo = letGo
    model.kv.addEventListener("outdated", () => this.#offer(NEW_VERSION))
    if (model.kv.outdated) this.#offer(NEW_VERSION)
  }

  /** Handle a failed import. Without a connection that is expected, and a later attempt helps. */
  failedToLoad(error) {
    // a module that was loaded and does not match stays in memory: only a reload helps
    if (error instanceof SyntaxError || this.#model.kv.state === "live") this.#offer(this.#reason ?? PART_MISSING)
  }

  #offer(reason) {
    if (this.#model.kv.state === "signed out") return
    this.#reason = reason
    const { typed } = this.#model.opened
    render(
      html`
        <p>${reason} Reload the page to use it.${typed ? " What you have typed is kept." : nothing}</p>
        <button type="button" class="primary" @click=${() => this.#reload()}>Reload</button>`,
      this.#place,
    )
  }

  async #reload() {
    const { page, opened } = this.#model
    await this.#letGo(keepDrafts(page.username, opened.records ?? []))
    location.reload()
  }
}
