// Small templates that the views of this folder share.

import { html, nothing } from "../../vendor/lit-html/lit-html.js"
import { moment } from "../shared/time-format.js"

const CLASSES = { created: "new", restored: "new", deleted: "gone", expired: "gone" }

/** Render the kind of a change, in its colour. */
export function kindView(kind) {
  return html`<span class=${`kind ${CLASSES[kind] ?? ""}`}>${kind}</span>`
}

/**
 * Explain why nothing is loaded or new: loading, offline, refused. `state`: of the connection; `source` has `writes`
 * and `again()`.
 */
export function troubles(state, source, what) {
  const { writes } = source
  if (state === "offline" || state === "signed out")
    return html`<p class="offline"><strong>Offline.</strong> ${what} needs the server. ${writes.loaded ? "This is what was known when the connection was lost." : "It is shown as soon as the connection is back."}</p>`
  if (writes.refusal)
    return html`
      <div class="problem">
        <p>${writes.refusal.message}${writes.refusal.request_id ? html` <span class="mono">${writes.refusal.request_id}</span>` : nothing}</p>
        <button type="button" @click=${() => source.again()}>Try again</button>
      </div>`
  return writes.loaded ? nothing : skeleton()
}

export function skeleton() {
  return html`<div class="skeleton" aria-hidden="true"><span></span><span></span><span></span><span></span><span></span></div>`
}

/** Render the button for older writes. `hidden`: there is more than is shown. */
export function older(writes, hidden = false, show = () => writes.older()) {
  if (writes.ended && !hidden) return nothing
  const busy = writes.asking === "older"
  return html`<p class="older"><button type="button" aria-disabled=${String(busy)} @click=${show}>${busy ? "Loading…" : "Show older"}</button></p>`
}

/** Render how far back the history goes, once its end is loaded; `beginning` states that nothing came before. */
export function endOf(writes, beginning) {
  if (!writes.ended || writes.list.length === 0) return nothing
  if (beginning || writes.floor <= 1) return html`<p class="end-of-past">${beginning ?? "This is the beginning."}</p>`
  const since = writes.list.findLast(({ revision }) => revision >= writes.floor)
  return html`<p class="end-of-past">The history is complete since ${since ? moment(since.at) : `revision ${writes.floor}`}. What is older has been cleared away.</p>`
}
