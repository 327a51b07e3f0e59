// The connection panel: the connection in figures, the proof that no change is missing, and the user's sessions.

import { html, nothing, render } from "../../vendor/lit-html/lit-html.js"
import { ago } from "../shared/time-format.js"

/** @import { DashboardModel } from "../dashboard-model.js" */

const PING_EVERY = 2_000
const TRANSPORTS = { websocket: "WebSocket", polling: "Polling" }
const MEANING = {
  live: "What you see is what the server holds.",
  "catching up": "Fetching what has changed.",
  offline: "What you see may be out of date. What you save is sent when the connection is back.",
  "signed out": "Nothing more is saved from here.",
}

export class ConnectionPanel {
  #box
  #model
  /** @type {number | null} */
  #latency = null // round trip to the server in milliseconds; null while unknown
  #pinged = -Infinity
  /** @type {any[] | null} */
  #sessions = null // [{id, label, current, last_seen_at, address}] once loaded
  /** @type {string | null} */
  #problem = null

  /** @param {DashboardModel} model */
  constructor(box, model) {
    this.#box = box
    this.#model = model
  }

  opened() {
    this.#problem = null
    this.#ask()
    this.draw()
  }

  draw() {
    if (!this.#box.matches(":popover-open")) return
    if (performance.now() - this.#pinged > PING_EVERY) this.#ping()
    render(this.#template(), this.#box)
  }

  async #ping() {
    this.#pinged = performance.now()
    this.#latency = await this.#model.kv.ping().catch(() => null)
    this.#model.redraw()
  }

  #template() {
    const model = this.#model
    const { kv } = model
    return html`
      <p class="status-meaning">${MEANING[kv.state]}</p>
      <dl class="status-facts">${this.#facts().map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
      <h2 id="signed-in" tabindex="-1">Signed in</h2>
      ${this.#sessionsView()}
      ${this.#problem ? html`<p class="bad" role="alert">${this.#problem}</p>` : nothing}
      <div class="row-of-buttons">
        <button type="button" @click=${() => model.page.copy(this.#diagnostics(), "Diagnostics")}>Copy diagnostics</button>
        <button type="button" data-command="resync" ?disabled=${kv.state !== "live"} @click=${() => kv.resync()}>Reload data</button>
      </div>`
  }

  #facts() {
    const { kv } = this.#model
    const latency = this.#latency
    const now = Date.now()
    const { epoch, revision } = kv.position
    const waiting = kv.pending.length
    return [
      ["Transport", TRANSPORTS[kv.transport] ?? "–"],
      ["Round trip", latency === null ? "–" : `${latency < 10 ? latency.toFixed(1) : Math.round(latency)} ms`],
      ["Last change", kv.lastChange ? ago(kv.lastChange, this.#model.now()) : "–"],
      ["Revision", html`<span class="mono">${epoch ?? "–"}:${revision}</span>`],
      [
        "Verified",
        kv.proved ? html`<span id="proof">${ago(new Date(kv.proved.at).toISOString(), now)}</span>` : "not yet",
      ],
      ["Repairs", kv.healed],
      ["Unsent writes", waiting],
    ]
  }

  #sessionsView() {
    if (!this.#sessions)
      return html`<p class="dim">${this.#model.kv.state === "live" ? "…" : "Unknown while offline."}</p>`
    return html`<ul class="status-sessions">${this.#sessions.map((session) => this.#session(session))}</ul>`
  }

  #session({ id, label, current, last_seen_at }) {
    const { kv } = this.#model
    const tabs = (kv.tabs ?? []).filter(({ session }) => session === id).length
    const open = tabs > 0 ? `${tabs} ${tabs === 1 ? "tab" : "tabs"}` : `seen ${ago(last_seen_at, this.#model.now())}`
    return html`
      <li>
        <span><strong>${label}</strong>${current ? html` <span class="chip">this one</span>` : nothing}<br><span class="dim">${open}</span></span>
        ${current ? nothing : html`<button type="button" @click=${() => this.#end(id)}>Sign out<span class="vh"> ${label}</span></button>`}
      </li>`
  }

  async #ask() {
    const response = await fetch("/api/v1/sessions").catch(() => null)
    if (response?.ok) this.#sessions = (await response.json()).sessions
    this.#model.redraw()
  }

  /** @param {string} id */
  async #end(id) {
    const request = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ id }) }
    const response = await fetch("/api/v1/end_session", request).catch(() => null)
    this.#problem = response?.ok ? null : "It could not be signed out now. Try again when the connection is back."
    await this.#ask()
    // the focused button was removed with its session
    if (response?.ok) document.getElementById("signed-in")?.focus()
  }

  #diagnostics() {
    const { kv } = this.#model
    const { state, transport, tabs, healed, position, proved, lastChange, clockAhead, size } = kv
    const facts = {
      at: new Date().toISOString(),
      state,
      transport,
      latency_ms: this.#latency,
      position,
      keys: size,
      proved: proved && { ...proved, at: new Date(proved.at).toISOString() },
      last_change: lastChange,
      healed,
      unsent: kv.pending.length,
      tabs: tabs?.length ?? null,
      clock_ahead_ms: clockAhead,
      browser: navigator.userAgent,
      window: `${innerWidth}×${innerHeight}`,
    }
    return JSON.stringify(facts, null, 2)
  }
}
