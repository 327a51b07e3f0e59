// Short messages at the bottom, some with a way back. Each stays ten seconds, and longer while someone is at it.

import { html } from "../../vendor/lit-html/lit-html.js"
import { repeat } from "../../vendor/lit-html/directives/repeat.js"

const STAYS = 10_000
const MOST = 3

export class Toasts {
  #toasts = []
  #changed
  #count = 0

  constructor(changed) {
    this.#changed = changed
  }

  /** `what`: a text or template; `action`: {label, run}. */
  show(what, action = null) {
    const toast = { id: ++this.#count, what, action }
    this.#toasts.push(toast)
    for (const old of this.#toasts.slice(0, -MOST)) this.#end(old)
    this.#start(toast)
    this.#changed()
  }

  get view() {
    return repeat(
      this.#toasts,
      ({ id }) => id,
      (toast) => html`
        <div class="toast" @pointerenter=${() => this.#stop(toast)} @pointerleave=${() => this.#start(toast)}
          @focusin=${() => this.#stop(toast)} @focusout=${() => this.#start(toast)}>
          <span class="toast-text">${toast.what}</span>
          ${toast.action ? html`<button type="button" @click=${() => this.#act(toast)}>${toast.action.label}</button>` : null}
        </div>`,
    )
  }

  #act(toast) {
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
