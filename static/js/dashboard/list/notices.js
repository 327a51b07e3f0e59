// What the list has to say beside its rows: how many, how stale, how empty.

import { html, nothing } from "../../vendor/lit-html/lit-html.js"
import { timeOfDay } from "../shared/clock.js"

const count = (n, one, many) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`

export function listNotices(desk) {
  const { kv } = desk
  const { rows, marks } = desk.browse
  const total = count(kv.size, "key", "keys")
  const rate = marks.rate(Date.now())
  return html`
    ${kv.state === "offline" ? offline(desk) : nothing}
    <div class="sub">
      <span id="count">${desk.synced ? (rows.filtering ? `${count(rows.length, "match", "matches")} of ${total}` : total) : "Loading…"}</span>
      ${marks.bursting(Date.now()) ? html`<span class="chip">${rate} changes/s</span>` : nothing}
      ${desk.browse.unsent.size > 0 ? html`<span class="chip warn" id="unsent">${count(desk.browse.unsent.size, "unsent change", "unsent changes")}</span>` : nothing}
    </div>`
}

function offline(desk) {
  const since = desk.synced && desk.lastLive ? `This is how it was at ${timeOfDay(desk.lastLive)}. ` : ""
  return html`<p class="offline"><strong>Offline.</strong> ${since}What you save is kept in this tab until the connection is back.</p>`
}

export function emptyNotice(desk) {
  if (!desk.synced) return html`<div class="skeleton" aria-hidden="true">${[62, 40, 75, 51, 33].map((width) => html`<span .style=${`inline-size:${width}%`}></span>`)}</div>`
  if (!desk.browse.rows.filtering)
    return html`
      <div class="empty">
        <h2>No keys yet</h2>
        <p>Create one here, and open this page in a second tab: it will be there at once.</p>
        <button type="button" class="primary" @click=${() => desk.opened.startNew()}>Create the first key</button>
      </div>`
  return html`
    <div class="empty">
      <p>No keys match <strong class="mono">${desk.browse.filter}</strong>.</p>
      <div class="row-of-buttons">
        <button type="button" @click=${() => desk.browse.setFilter("")}>Clear the filter</button>
        <button type="button" @click=${() => desk.opened.startNew(desk.browse.filter)}>Create this key</button>
      </div>
    </div>`
}
