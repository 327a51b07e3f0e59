// The tab "Use it": snippets that read, write and watch the open key, in the language that was chosen last.

import { copy } from "../../lib/clipboard.js"
import { choose, setting } from "../../lib/settings.js"
import { html } from "../../vendor/lit-html/lit-html.js"
import { LANGUAGES, snippets, TASKS } from "./snippets.js"

const COPIED_MS = 2_000

/** Render the tab. `value` may be undefined if there is none yet; `origin` is that of this server. */
export function useItView({ key, value, origin = location.origin }) {
  const all = snippets({ origin, key, value })
  const chosen = setting("language")
  return html`
    <div class="use">
      <fieldset class="segments" @change=${(event) => choose("language", event.target.value)}>
        <legend class="vh">Language</legend>
        ${Object.entries(LANGUAGES).map(([language, name]) => html`<label><input type="radio" name="language" value=${language} ?checked=${language === chosen}><span>${name}</span></label>`)}
      </fieldset>
      ${Object.entries(LANGUAGES).map(
        ([language, name]) => html`
        <div class="samples" data-language=${language}>
          ${note(language)}
          ${Object.entries(TASKS).map(([task, title]) => sample(title, name, all[language][task]))}
        </div>`,
      )}
      <p class="hint">Every call, and what it answers: <a href="/api">API</a>.</p>
      <p class="vh" role="status"></p>
    </div>`
}

function note(language) {
  if (language === "javascript")
    return html`<p class="hint">In a page of this server, in a module. From another origin: <code>connect({ url, token })</code>; list that origin in <code>RKV_ORIGINS</code>.</p>`
  return html`<p class="hint">Put a token into <code>TOKEN</code> first: <a href="/account/tokens">create one</a>, then <code>export TOKEN=rkv_…</code></p>`
}

/** @param {string} name @param {string} text */
function sample(title, name, text) {
  return html`
    <figure class="sample">
      <figcaption><h3>${title}</h3><button type="button" @click=${(event) => copyFrom(event.currentTarget, text)}>Copy<span class="vh">: ${title}, ${name}</span></button></figcaption>
      <pre tabindex="0" role="region" aria-label=${`${title}, ${name}`}><code>${text}</code></pre>
    </figure>`
}

/** @param {string} text */
async function copyFrom(button, text) {
  const worked = await copy(text)
  const status = button.closest(".use").querySelector("[role=status]")
  status.textContent = worked ? "Copied." : "The browser did not let us copy. Select the text instead."
  button.toggleAttribute("data-copied", worked)
  setTimeout(() => button.removeAttribute("data-copied"), COPIED_MS)
}
