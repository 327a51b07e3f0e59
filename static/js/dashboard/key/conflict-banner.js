// The conflict banner: another writer has changed the key that is being edited here. It shows their change and the ways
// to resolve the conflict. Nothing is overwritten unseen.

import { html, nothing } from "../../vendor/lit-html/lit-html.js"
import { formatJson } from "../shared/json-text.js"
import { ago } from "../shared/time-format.js"
import { conflictText } from "./model/conflict-text.js"
import { mergeJson } from "./model/three-way-merge.js"

/**
 * @import { Page } from "../main.js"
 * @import { Draft } from "./model/draft.js"
 * @import { Showing } from "./model/open-key.js"
 */

/** @type {any} */
let difference = null // the module, once requested
const shown = new WeakMap() // draft → "unified" or "side", while the difference is shown

/** @param {Showing} opened @param {Page} page @param {number} now */
export function conflictBanner(opened, page, now) {
  const { draft } = opened.open
  const { conflict } = draft
  if (!conflict) return nothing
  const { entry } = conflict
  const merged = mergedOf(draft)
  const way = shown.get(draft)
  return html`
    <div class="conflict" id="conflict" role="group" tabindex="-1" aria-labelledby="conflict-title">
      <p id="conflict-title"><strong>${!entry ? (conflict.origin?.via === "expiry" ? "It has expired." : "Deleted in another tab.") : draft.base ? "Changed in another tab." : "This key exists already."}</strong>
        ${conflictText(draft)}${entry ? html` <span class="when">${ago(entry.updated_at, now)}</span>` : nothing}</p>
      <div class="row-of-buttons">
        ${entry ? html`<button type="button" aria-expanded=${String(Boolean(way))} @click=${() => show(page, draft, way ? null : "unified")}>${way ? "Hide difference" : "Show difference"}</button>` : nothing}
        <button type="button" @click=${() => opened.keepMine(conflict)}>Keep mine</button>
        <button type="button" @click=${() => opened.takeTheirs(conflict)}>${entry ? "Take theirs" : "Leave it deleted"}</button>
        ${merged ? html`<button type="button" class="primary" @click=${() => opened.takeMerged(merged.value, conflict)}>Merge both</button>` : nothing}
      </div>
      ${entry && way ? differencePart(page, draft, way) : nothing}
    </div>`
}

/** @param {Page} page @param {Draft} draft */
function differencePart(page, draft, way) {
  if (!difference) return html`<p class="hint">Loading…</p>`
  if (difference === "failed") return html`<p class="hint">The difference could not be loaded.</p>`
  const { value, problem } = draft.reading
  const mine = problem ? draft.text : lines(value)
  return html`
    <div class="difference-head">
      <p class="hint">From theirs <b class="sign-gone">−</b> to yours <b class="sign-new">+</b></p>
      <div class="segments" role="group" aria-label="Difference">
        ${[
          ["unified", "Unified"],
          ["side", "Side by side"],
        ].map(
          ([name, title]) =>
            html`<button type="button" aria-pressed=${String(way === name)} @click=${() => show(page, draft, name)}>${title}</button>`,
        )}
      </div>
    </div>
    ${difference.differenceView(lines(draft.conflict?.entry?.value), mine, { side: way === "side", label: "From theirs to yours" })}`
}

/** @param {Page} page @param {Draft} draft */
async function show(page, draft, way) {
  shown.set(draft, way)
  page.redraw()
  if (difference && difference !== "failed") return
  difference = await import("../shared/diff-view.js").catch((error) => page.failedToLoad(error) ?? "failed")
  page.redraw()
}

const lines = (value) => (typeof value === "string" ? value : formatJson(value))

const merges = new WeakMap() // conflict → {text, mode, merged}: the page is redrawn every second

/**
 * Return both changes merged; null if they touch the same place, or there is nothing to merge.
 * @param {Draft} draft
 */
function mergedOf(draft) {
  const { base, conflict, reading, text, mode } = draft
  if (!base || !conflict?.entry || reading.problem) return null
  const known = merges.get(conflict)
  if (known?.text === text && known.mode === mode) return known.merged
  const merged = mergeJson(base.value, reading.value, conflict.entry.value)
  merges.set(conflict, { text, mode, merged })
  return merged
}
