// The connection badge in the header: the status in a word. The panel that it opens is loaded when it is first opened.

import { html, nothing, render } from "../../vendor/lit-html/lit-html.js"
import { look } from "./connection-status.js"

/** @import { DashboardModel } from "../dashboard-model.js" */

export class ConnectionBadge {
  #button
  #box
  #model
  /** @type {import("./connection-panel.js").ConnectionPanel | null} */
  #view = null // the view of the panel, once loaded

  /** @param {DashboardModel} model */
  constructor(button, box, model) {
    this.#button = button
    this.#box = box
    this.#model = model
    button.querySelector("span:last-child").replaceChildren()
    box.addEventListener("toggle", ({ newState }) => newState === "open" && this.#opened())
  }

  draw() {
    const { look: shown, text, more } = look(this.#model, Date.now(), navigator.onLine)
    this.#button.dataset.state = this.#model.kv.state
    this.#button.dataset.look = shown
    render(
      html`${text}${more ? html`<span class="conn-more">${more}</span>` : nothing}`,
      this.#button.querySelector("span:last-child"),
    )
    this.#view?.draw()
  }

  async #opened() {
    const { ConnectionPanel } = await import("./connection-panel.js")
    this.#view ??= new ConnectionPanel(this.#box, this.#model)
    this.#view.opened()
  }
}
