// The view of the demonstration.

import { html, nothing } from "../vendor/lit-html/lit-html.js"

const STATES = { live: "Live", "catching up": "Catching up", offline: "Offline", "signed out": "Signed out" }
const count = (n) => n.toLocaleString("en").replaceAll(",", " ")
const hex = (digest) => (digest >>> 0).toString(16).padStart(8, "0")

/** `act`: {kill, cut(number), again}. */
export function stageView({ devices, stage, director, act }) {
  const latest = Math.max(...devices.map(({ kv }) => kv.position.revision))
  return html`
    <section class="intro">
      <h1>Nothing is missed</h1>
      <p>Three devices of one user paint the same board. Their connections are cut, and their server is killed, again and again. Whoever was away catches up and proves it by a digest.</p>
    </section>
    ${director.outcome ? verdict(director.outcome, stage, act) : score(latest, stage, director)}
    <div class="server" data-alive=${String(stage.server.pid !== null)}>
      <p><span class="dot" aria-hidden="true"></span><strong>${stage.server.pid === null ? "The server was killed (SIGKILL) and is starting again" : "The server is running"}</strong> ${stage.server.pid === null ? nothing : html`<span class="mono dim">process ${stage.server.pid}</span>`}</p>
      <button type="button" class="danger" ?disabled=${director.phase !== "playing" || stage.server.pid === null} @click=${act.kill}>Kill the server</button>
    </div>
    <div class="devices">
      ${devices.map((device, number) => deviceCard(device, number, stage.proxies[number], latest, director, act))}
      ${program(stage.watcher, latest)}
    </div>
    ${storyView(director.story)}`
}

function score(latest, { server, proxies }, { remaining, phase }) {
  const cuts = proxies.reduce((sum, proxy) => sum + proxy.cuts, 0)
  const figure = (value, words) => html`<div><dt>${words}</dt><dd>${value}</dd></div>`
  return html`
    <dl class="score">
      ${figure(count(latest), "changes")} ${figure(server.kills, "server kills")} ${figure(cuts, "connections cut")}
      ${figure(phase === "playing" ? `${Math.ceil(remaining / 1000)} s` : "…", phase === "playing" ? "to go" : "settling")}
    </dl>`
}

function verdict({ changes, missed, equal, devices }, { server, proxies }, act) {
  const good = missed === 0 && equal === devices
  const cuts = proxies.reduce((sum, proxy) => sum + proxy.cuts, 0)
  return html`
    <section class=${`verdict ${good ? "good" : "bad"}`}>
      <p id="verdict">${count(changes)} changes, ${count(missed)} missed, digest equal on ${equal}${equal === devices ? nothing : html` of ${devices}`} devices</p>
      <p class="dim">through ${server.kills} server kills and ${cuts} cut connections</p>
      <button type="button" class="primary" @click=${act.again}>Again</button>
    </section>`
}

function deviceCard(device, number, proxy, latest, director, act) {
  const { kv, name } = device
  const waiting = kv.pending.length
  const behind = latest - kv.position.revision
  return html`
    <section class="device" data-device=${number} data-state=${kv.state} aria-label=${name}>
      <header><h2>${name}</h2><p class="conn" data-state=${kv.state}><span class="dot" aria-hidden="true"></span>${proxy.cut ? "Connection cut" : STATES[kv.state]}</p></header>
      <div class="board" role="img" aria-label=${`The board as ${name} knows it`}>
        ${device.board.map(({ by }) => html`<i data-by=${by ?? ""}></i>`)}
      </div>
      <dl>
        <div><dt>Revision</dt><dd class="mono">${count(kv.position.revision)}${behind > 0 && kv.state !== "live" ? html` <span class="late">${count(behind)} behind</span>` : nothing}</dd></div>
        <div><dt>Digest</dt><dd class="mono">${hex(kv.digest)}</dd></div>
        <div><dt>Unsent</dt><dd class="mono">${kv.state === "live" ? 0 : waiting}</dd></div>
      </dl>
      <button type="button" ?disabled=${proxy.cut || director.phase !== "playing"} @click=${() => act.cut(number)}>Cut the connection</button>
    </section>`
}

function program(watcher, latest) {
  const behind = latest - watcher.revision
  return html`
    <section class="device program" data-state=${watcher.state} aria-label="A Python program">
      <header><h2>Python program</h2><p class="conn" data-state=${watcher.state}><span class="dot" aria-hidden="true"></span>${STATES[watcher.state]}</p></header>
      <pre class="mono" aria-hidden="true">&gt;&gt;&gt; replica.revision
${watcher.revision}
&gt;&gt;&gt; replica.keys
${watcher.keys}
&gt;&gt;&gt; hex(replica.digest)
'0x${hex(watcher.digest)}'</pre>
      <dl>
        <div><dt>Revision</dt><dd class="mono">${count(watcher.revision)}${behind > 0 && watcher.state !== "live" ? html` <span class="late">${count(behind)} behind</span>` : nothing}</dd></div>
        <div><dt>Digest</dt><dd class="mono">${hex(watcher.digest)}</dd></div>
      </dl>
    </section>`
}

function storyView(story) {
  return html`
    <section class="story" aria-label="One key, edited on two devices">
      <h2>One key, two editors</h2>
      <p role="status">${story.sentence}</p>
      <div class="editors">${story.editors.map((editor) => editorView(editor, story))}</div>
    </section>`
}

function editorView({ device, draft }, story) {
  if (!draft) return html`<div class="editor"><h3>${device.name}</h3><pre class="mono dim">party</pre></div>`
  const { conflict } = draft
  return html`
    <div class="editor" data-edited=${String(draft.unsaved)}>
      <h3>${device.name} <span class="mono dim">party</span> ${draft.unsaved ? html`<span class="late">unsaved</span>` : nothing}</h3>
      ${
        conflict
          ? html`<div class="conflict"><p><strong>Changed on ${story.editors[0].device.name}.</strong> Revision ${conflict.entry.revision} was saved while you edited ${draft.base.revision}.</p>
            <button type="button" class="primary" id="merge" @click=${() => story.press()}>Merge both</button></div>`
          : nothing
      }
      <pre class="mono">${draft.text}</pre>
    </div>`
}
