// The pill in the header: how the connection is, in a word. What it opens is loaded when it is first opened.

import { html, nothing, render } from "../../vendor/lit-html/lit-html.js"
import { look } from "./look.js"

export class Pill {
  #button
  #box
  #desk
  #view = null // of what it opens, once loaded

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
    const { StatusView } = await import("./status.js")
    this.#view ??= new StatusView(this.#box, this.#desk)
    this.#view.opened()
  }
}
