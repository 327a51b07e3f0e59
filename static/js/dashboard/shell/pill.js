// The pill in the header: how the connection is, in a word. What it opens is loaded when it is first opened.

import { html, nothing, render } from "../../vendor/lit-html/lit-html.js"
import { look } from "./look.js"

const PING_EVERY = 2_000

export class Pill {
  #button
  #box
  #desk
  #view = null // of what it opens, once loaded
  #pinged = -Infinity

  /** How long the server took to answer, in milliseconds; null while that is not known. */
  latency = null

  constructor(button, box, desk) {
    this.#button = button
    this.#box = box
    this.#desk = desk
    button.querySelector("span:last-child").replaceChildren()
    box.addEventListener("toggle", ({ newState }) => newState === "open" && this.#opened())
  }

  get #open() {
    return this.#box.matches(":popover-open")
  }

  draw() {
    const { look: shown, text, more } = look(this.#desk, Date.now(), navigator.onLine)
    this.#button.dataset.state = this.#desk.kv.state
    this.#button.dataset.look = shown
    render(html`${text}${more ? html`<span class="conn-more">${more}</span>` : nothing}`, this.#button.querySelector("span:last-child"))
    if (this.#open && this.#view) this.#drawBox()
  }

  async #opened() {
    const { StatusView } = await import("./status.js")
    this.#view ??= new StatusView(this.#desk)
    this.#view.opened()
    this.#drawBox()
  }

  #drawBox() {
    if (performance.now() - this.#pinged > PING_EVERY) this.#ping()
    render(this.#view.draw(this.latency), this.#box)
  }

  async #ping() {
    this.#pinged = performance.now()
    this.latency = await this.#desk.kv.ping().catch(() => null)
    this.#desk.redraw()
  }
}
