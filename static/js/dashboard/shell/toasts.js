// Toasts: short messages at the bottom, some with an action such as undo. Each stays ten seconds, and longer while the
// pointer or the focus is on it.

import { html } from "../../vendor/lit-html/lit-html.js"
import { drawKeyed } from "../shared/keyed-list.js"

const STAYS = 10_000
const MOST = 3
const ANSWERS_WITHIN = 3_000

export class Toasts {
  #toasts = []
  #changed
  #focus
  #count = 0
  #pressed = -Infinity // when the button of a toast was last pressed by keyboard

  /** `focus(id)` moves the focus to that element at the next draw. */
  constructor(changed, focus) {
    this.#changed = changed
    this.#focus = focus
  }

  /** Show a toast. `what`: a text or template; `action`: {label, run}. */
  show(what, action = null) {
    const toast = { id: ++this.#count, what, action }
    this.#toasts.push(toast)
    for (const old of this.#toasts.slice(0, -MOST)) this.#end(old)
    this.#start(toast)
    // after Undo by keyboard the focus moves to Redo, since the pressed button is removed
    if (action && performance.now() - this.#pressed < ANSWERS_WITHIN) this.#focus(buttonId(toast))
    this.#changed()
  }

  draw(place) {
    drawKeyed(
      place,
      this.#toasts,
      ({ id }) => id,
      (toast) => html`
        <div class="toast" @pointerenter=${() => this.#stop(toast)} @pointerleave=${() => this.#start(toast)}
          @focusin=${() => this.#stop(toast)} @focusout=${() => this.#start(toast)}>
          <span class="toast-text">${toast.what}</span>
          ${toast.action ? html`<button type="button" id=${buttonId(toast)} @click=${(event) => this.#act(toast, event)}>${toast.action.label}</button>` : null}
        </div>`,
    )
  }

  #act(toast, { detail: clicks }) {
    this.#pressed = clicks === 0 ? performance.now() : -Infinity
    this.#end(toast)
    toast.action.run()
  }

  #start(toast) {
    clearTimeout(toast.timer)
    toast.timer = setTimeout(() => this.#end(toast), STAYS)
  }

  #stop(toast) {
    clearTimeout(toast.timer)
  }

  #end(toast) {
    clearTimeout(toast.timer)
    this.#toasts = this.#toasts.filter((other) => other !== toast)
    this.#changed()
  }
}

const buttonId = ({ id }) => `toast-${id}`
