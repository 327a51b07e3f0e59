// The connection badge in the header: the status in a word. The panel that it opens is loaded when it is first opened.

import { html, nothing, render } from "../../vendor/lit-html/lit-html.js"
import { look } from "./connection-status.js"

export class Pill {
  #button
  #box
  #desk
  #view = null // the view of the panel, once loaded

  constructor(button, box, desk) {
    this.#button = button
    this.#box = box
    this.#desk = desk
    button.querySelector("span:last-child").replaceChildren()
    box.addEventListener("toggle", ({ newState }) => newState === "open" && this.#opened())
  }

  draw() {
    const { look: shown, text, more } = look(this.#desk, Date.now(), navigator.onLine)
    this.#button.dataset.state = this.#desk.kv.state
    this.#button.dataset.look = shown
    render(html`${text}${more ? html`<span class="conn-more">${more}</span>` : nothing}`, this.#button.querySelector("span:last-child"))
    this.#view?.draw()
  }

  async #opened() {
    const { StatusView } = await import("./connection-panel.js")
    this.#view ??= new StatusView(this.#box, this.#desk)
    this.#view.opened()
  }
}
