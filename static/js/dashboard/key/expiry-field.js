// The expiry field: keep, never, after a duration, or at a time.

import { html, nothing } from "../../vendor/lit-html/lit-html.js"
import { chosenExpiry, inAnHour, remaining, units } from "./model/expiry.js"

/** @import { Draft } from "./model/draft.js" */

const choices = new WeakMap() // draft → {choice, amount, unit, at}: the content of the fields

/**
 * Render the field. `clock()` returns the time; `choose(expires)` is called with the new `expires` of the draft.
 * @param {Draft} draft
 */
export function expiresView(draft, clock, choose) {
  const now = clock()
  const fields = fieldsOf(draft)
  const { expires_at } = draft.base ?? {}
  const change = (changes) => {
    const all = { ...fields, ...changes }
    choices.set(draft, all)
    choose(chosenExpiry(all, clock()))
  }
  return html`
    <div class="expires">
      <label for="expires">Expires</label>
      <select id="expires" @change=${({ target }) => change({ choice: target.value, at: fields.at || inAnHour(now) })}>
        ${option("keep", expires_at ? `${remaining(expires_at, now)}, as it is` : "never", fields)}
        ${expires_at ? option("never", "never", fields) : nothing}
        ${option("in", "in …", fields)} ${option("at", "at …", fields)}
      </select>
      ${fields.choice === "in" ? amountView(fields, change) : nothing}
      ${
        fields.choice === "at"
          ? html`<input id="expires-value" type="datetime-local" step="1" aria-label="Expires at" .value=${fields.at} aria-invalid=${String(Boolean(draft.expires?.problem))}
            aria-describedby="expires-note" @change=${({ target }) => change({ at: target.value })}>`
          : nothing
      }
      <span id="expires-note" class="bad" ?hidden=${!draft.expires?.problem}>${draft.expires?.problem ?? ""}</span>
    </div>`
}

/** @param {string} text */
function option(choice, text, fields) {
  return html`<option value=${choice} .selected=${fields.choice === choice}>${text}</option>`
}

function amountView({ amount, unit }, change) {
  return html`
    <input id="expires-value" type="number" min="0" step="any" inputmode="decimal" aria-label="Expires after" .value=${amount} aria-describedby="expires-note"
      @input=${({ target }) => change({ amount: target.value })}>
    <select aria-label="Unit" @change=${({ target }) => change({ unit: target.value })}>
      ${units.map((name) => html`<option .selected=${name === unit}>${name}</option>`)}
    </select>`
}

/**
 * Return the content of the fields; a draft that keeps its expiry (again) starts with the defaults.
 * @param {Draft} draft
 */
function fieldsOf(draft) {
  const fields = choices.get(draft)
  if (fields && (draft.expires !== null || fields.choice === "keep")) return fields
  return { choice: "keep", amount: "1", unit: "hours", at: "" }
}
