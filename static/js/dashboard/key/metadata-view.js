// The metadata of an entry.

import { html, nothing } from "../../vendor/lit-html/lit-html.js"
import { sizeOf } from "../shared/json-text.js"
import { whoWrote } from "../shared/texts.js"
import { ago, moment } from "../shared/time-format.js"
import { remaining } from "./model/expiry.js"

export function metaView({ draft, created = "" }, now) {
  const { value, revision, version, updated_at, expires_at, origin } = draft.base
  return html`
    <dl class="meta">
      <div><dt>Revision</dt><dd class="mono">${revision}</dd></div>
      <div><dt>Version</dt><dd class="mono">${version}</dd></div>
      <div><dt>Updated</dt><dd>${time(updated_at, ago(updated_at, now))}${origin ? html` by ${whoWrote(origin)}` : nothing}</dd></div>
      <div><dt>Created</dt><dd>${created ? time(created, ago(created, now)) : "…"}</dd></div>
      <div><dt>Expires</dt><dd>${expires_at ? time(expires_at, remaining(expires_at, now)) : "Never"}</dd></div>
      <div><dt>Size</dt><dd>${bytes(value)}</dd></div>
    </dl>`
}

/** @param {string} text */
function time(at, text) {
  return html`<time datetime=${at} title=${moment(at)}>${text}</time>`
}

const sizes = new WeakMap() // values do not change

function bytes(value) {
  if (typeof value !== "object" || value === null) return `${sizeOf(value).toLocaleString("en")} B`
  if (!sizes.has(value)) sizes.set(value, sizeOf(value))
  return `${sizes.get(value).toLocaleString("en")} B`
}
