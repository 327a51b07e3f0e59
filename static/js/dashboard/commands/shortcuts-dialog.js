// The shortcuts dialog behind `?`: all shortcuts in groups, as printed on this machine's keyboard.

import { choose, setting } from "../../lib/settings.js"
import { html, nothing } from "../../vendor/lit-html/lit-html.js"
import { close, show } from "../shell/dialogs.js"
import { printed } from "./printed.js"

/** @import { Command } from "./registry.js" */

/**
 * @param {Command[]} commands
 * @param {HTMLElement} place
 */
export function showSheet(place, commands) {
  const groups = Map.groupBy(
    commands.filter(({ keys }) => keys.length > 0),
    ({ group }) => group ?? "Everywhere",
  )
  show(
    place,
    html`
      <dialog id="shortcuts" class="sheet" aria-labelledby="shortcuts-title">
        <div class="sheet-head">
          <h2 id="shortcuts-title">Keyboard</h2>
          <button type="button" autofocus @click=${close}>Close</button>
        </div>
        <div class="sheet-groups">${[...groups].map(([name, group]) => groupView(name, group))}</div>
        <label class="check"><input type="checkbox" .checked=${setting("singleKeys") === "on"} @change=${({ target }) => choose("singleKeys", target.checked ? "on" : "off")}> Single-key shortcuts</label>
        <p class="hint">They count where nobody is typing. In the editor, Tab moves on and Esc leaves.</p>
      </dialog>`,
  )
}

/**
 * @param {string} name
 * @param {Command[]} group
 */
function groupView(name, group) {
  return html`
    <section>
      <h3>${name}</h3>
      <dl class="keys">${group.map(({ keys, title }) => html`<div><dt>${title}</dt><dd>${keys.slice(0, 6).map(keysView)}</dd></div>`)}</dl>
    </section>`
}

/**
 * @param {string} keys
 * @param {number} at
 */
function keysView(keys, at) {
  const one = printed(keys).map(
    (key, i) => html`${i > 0 ? html` <span class="dim">then</span> ` : nothing}<kbd>${key}</kbd>`,
  )
  return html`${at > 0 ? " " : nothing}${one}`
}
