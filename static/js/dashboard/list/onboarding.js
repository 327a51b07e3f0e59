// The empty list of a new user: three ways to begin.

import { html } from "../../vendor/lit-html/lit-html.js"

/** @import { DashboardModel } from "../dashboard-model.js" */

/** @param {DashboardModel} model */
export function startView(model) {
  const command = [
    `curl -H "Authorization: Bearer $TOKEN"`,
    `-H "Content-Type: application/json"`,
    `-d '{"key":"hello","value":"world"}'`,
    `${location.origin}/api/v1/set`,
  ].join(" \\\n  ")
  return html`
    <div class="empty start">
      <h2 tabindex="-1" id="start">No keys yet</h2>
      <p>Three ways to begin. Open this page in a second tab, too: whatever happens is there at once.</p>
      <section>
        <h3>Write one here</h3>
        <button type="button" class="primary" @click=${() => model.opened.startNew()}>Create the first key</button>
      </section>
      <section>
        <h3>Write one from anywhere</h3>
        <p class="hint">With a token: <a href="/account/tokens">create one</a>.</p>
        <pre tabindex="0" role="region" aria-label="Write a key with curl"><code>${command}</code></pre>
        <button type="button" @click=${() => model.page.copy(command, "Command")}>Copy the command</button>
      </section>
      <section>
        <h3>Look around first</h3>
        <p class="hint">Ten example keys. One click removes them.</p>
        <button type="button" @click=${async () => (await import("./actions.js")).loadSample(model)}>Load sample data</button>
      </section>
    </div>`
}
