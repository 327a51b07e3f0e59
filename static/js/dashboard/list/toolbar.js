// The toolbar of the list: number of keys, sort order, view and pause.

import { html, nothing } from "../../vendor/lit-html/lit-html.js"
import { count, signs } from "../shared/view-helpers.js"

/**
 * @import { Page } from "../main.js"
 * @import { ListModel } from "./model/list-model.js"
 */

const SORTS = { key: "Key, A–Z", "-key": "Key, Z–A", "-updated": "Newest change", updated: "Oldest change" }

export function listNotices({ browse, synced, page }) {
  const { rows } = browse
  const some = rows.filtering ? "match" : rows.view.prefix
  const total = count(rows.total, "key", "keys")
  return html`
    <div class="sub">
      <span id="count">${!synced ? "Loading…" : rows.filtering ? html`${count(rows.keys.length, "match", "matches")}<span class="of"> of ${total}</span>` : some ? `${rows.keys.length.toLocaleString("en")} of ${total}` : total}${rows.partial ? ", still searching…" : ""}</span>
      ${rows.total > 0 ? order(browse, page) : nothing}
    </div>`
}

/** @param {ListModel} browse @param {Page} page */
function order(browse, page) {
  const { tree, sort } = browse.rows.view
  const view = (name, label, on) =>
    html`<button type="button" aria-pressed=${String(on)} @click=${() => browse.setView(name)}>${label}</button>`
  return html`
    <span class="order">
      <span class="seg" role="group" aria-label="View" data-command="view">${view("tree", "Tree", tree)}${view("list", "List", !tree)}</span>
      <select id="sort" aria-label="Sort" title="Sort" @change=${({ target }) => page.go({ sort: target.value }, { replace: true })}>
        ${Object.entries(SORTS).map(([name, label]) => html`<option value=${name} ?selected=${name === sort}>${label}</option>`)}
      </select>
      <button type="button" class="icon quiet" id="pause" aria-label="Pause live changes" aria-pressed=${String(browse.paused)} data-command="pause" @click=${() => browse.pause()}>${browse.paused ? signs.play : signs.pause}</button>
    </span>`
}

/** The skeleton shown until the first data arrive. */
export const placeholder = html`<div class="skeleton" aria-hidden="true"><span></span><span></span><span></span><span></span><span></span></div>`
