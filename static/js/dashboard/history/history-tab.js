// The history tab of a key: its versions, the change that each one made, and the difference of any two.

import { choose, setting } from "../../lib/settings.js"
import { html, nothing } from "../../vendor/lit-html/lit-html.js"
import { differenceView } from "../shared/diff-view.js"
import { stylesheet } from "../shared/load-stylesheet.js"
import { ago, moment } from "../shared/time-format.js"
import { keyText } from "../shared/view-helpers.js"
import { authorOf } from "./authors.js"
import { historyPath } from "./links.js"
import { textsOf, Versions } from "./versions.js"
import { endOf, kindView, older, troubles } from "./view-helpers.js"

/**
 * @import { DashboardModel } from "../dashboard-model.js"
 * @import { Page } from "../main.js"
 * @import { Route } from "../route.js"
 */

await stylesheet("/static/css/history.css")

const shown = new WeakMap() // model → the Versions of the key that was shown last

/** @param {DashboardModel} model @param {string} key */
function versionsFor(model, key) {
  if (shown.get(model)?.key !== key) shown.set(model, new Versions(model.kv, model.page.redraw, key))
  return shown.get(model)
}

/** @param {DashboardModel} model @param {string} key @param {Route} route */
export function historyView(model, key, route) {
  const versions = versionsFor(model, key)
  versions.look()
  const { list, writes } = versions
  if (!writes.loaded)
    return html`<div class="history" aria-busy=${String(!writes.refusal)}>${troubles(model.kv.state, versions, "The history")}</div>`
  if (list.length === 0)
    return html`<div class="history"><p class="hint">Nothing is known of this key: it was never written, or longer ago than the history reaches.</p></div>`
  const pair = versions.pair(route)
  return html`
    <div class="history">
      ${troubles(model.kv.state, versions, "The history")} ${deletedNotice(model, versions)}
      <div class="versions" tabindex="-1">
        <h3 class="vh">Versions</h3>
        <ol>${list.map((version) => row(model, versions, version, pair))}</ol>
        ${older(writes)} ${endOf(writes, list.at(-1).op.version === 1 ? "Created here." : null)}
      </div>
      ${comparison(model, versions, pair)}
    </div>`
}

/**
 * Show the version before (1) or after (-1) the current one.
 * @param {DashboardModel} model
 */
export function step(model, by) {
  const versions = shown.get(model)
  const next = versions?.key === model.route.key ? versions.step(model.route, by) : null
  if (next) model.page.go(next, { replace: true })
  else model.page.say(by > 0 ? "This is the oldest version that is shown." : "This is the newest version.")
}

/** @param {DashboardModel} model @param {Versions} versions */
function row(model, versions, version, pair) {
  const { revision, at, op, kind, like, lines } = version
  const { name, note } = authorOf(model.kv, version)
  const current = revision === pair.to
  const standing = revision === versions.writes.newest
  return html`
    <li class=${`version${current ? " shown" : ""}`}>
      <a class="rev mono" href=${historyPath(versions.key, revision)} aria-current=${current ? "true" : nothing}><span class="vh">Revision </span>${revision}</a>
      <time datetime=${at} title=${moment(at)}>${ago(at, model.now())}</time>
      <span class="what">${kindView(kind)}${version.undoes ? html` <span class="dim">undo of ${version.undoes}</span>` : like ? html` <span class="dim">as in ${like}</span>` : nothing}</span>
      <span class="by">${name}${note ? html` <span class="dim">${note}</span>` : nothing}</span>
      <span class="line-count mono">${changedLines(lines)}</span>
      <span class="act">${
        op.op === "set" && !standing
          ? html`<button type="button" class="small" @click=${() => restore(model, versions, version)}>Restore<span class="vh"> revision ${revision}</span></button>`
          : standing && op.op === "set"
            ? html`<span class="dim">now</span>`
            : nothing
      }</span>
    </li>`
}

function changedLines(lines) {
  if (!lines) return nothing
  const { added, gone } = lines
  return html`${added ? html`<span class="added">+${added}<span class="vh"> lines</span></span>` : nothing} ${gone ? html`<span class="gone">−${gone}<span class="vh"> lines</span></span>` : nothing}`
}

/** @param {DashboardModel} model @param {Versions} versions */
function deletedNotice(model, versions) {
  const [last, before] = versions.list
  if (last.op.op !== "delete" || model.kv.entry(versions.key)) return nothing
  const { name } = authorOf(model.kv, last)
  return html`
    <div class="was-deleted">
      <p><strong>${last.kind === "expired" ? "Expired" : "Deleted"}</strong> ${ago(last.at, model.now())}${last.kind === "expired" ? nothing : html` by ${name}`}.</p>
      ${before?.op.op === "set" ? html`<button type="button" @click=${() => restore(model, versions, before)}>Restore the last value</button>` : nothing}
    </div>`
}

/** @param {DashboardModel} model @param {Versions} versions */
async function restore(model, versions, { revision }) {
  const { key } = versions
  const { kv, page } = model
  if (kv.state === "offline")
    return page.toast("There is no connection: nothing was restored. Try again when it is back.")
  try {
    const answer = await kv.restore(key, { revision, ifRevision: kv.entry(key)?.revision ?? 0 })
    model.undo.offer(html`Restored <b class="mono">${keyText(key)}</b> as of ${revision}`, [answer.revision])
    page.go({ from: null, to: null }, { replace: true })
  } catch (refusal) {
    page.toast(
      refusal.code === "conflict"
        ? `Not restored: ${key} has just changed. Look at its newest version first.`
        : refusal.message,
    )
  }
}

/** @param {DashboardModel} model @param {Versions} versions */
function comparison(model, versions, { from, to }) {
  const side = setting("difference") === "side"
  return html`
    <section class="compare" aria-labelledby="compare-title">
      <h3 class="vh" id="compare-title">Difference</h3>
      <div class="compare-bar">
        <label>Compare ${choice(model.page, versions, "from", from)}</label>
        <label>with ${choice(model.page, versions, "to", to)}</label>
        <div class="row-of-buttons">
          <button type="button" class="small" data-command="older" aria-disabled=${String(!versions.step(model.route, 1))} @click=${() => step(model, 1)}>Older</button>
          <button type="button" class="small" data-command="newer" aria-disabled=${String(!versions.step(model.route, -1))} @click=${() => step(model, -1)}>Newer</button>
        </div>
        <fieldset class="segments" @change=${({ target }) => lay(model.page, target.value)}>
          <legend class="vh">Layout</legend>
          <label><input type="radio" name="difference" value="unified" .checked=${!side}><span>Unified</span></label>
          <label><input type="radio" name="difference" value="side" .checked=${side}><span>Side by side</span></label>
        </fieldset>
      </div>
      ${difference(versions, from, to, side)}
    </section>`
}

/** @param {Page} page */
function lay(page, how) {
  choose("difference", how)
  page.redraw()
}

/** @param {Page} page @param {Versions} versions @param {string} name */
function choice(page, versions, name, chosen = null) {
  const known = versions.list.map(({ revision }) => revision)
  const revisions = chosen === null || known.includes(chosen) ? known : [...known, chosen].sort((a, b) => b - a)
  const changed = ({ target }) => {
    const now = versions.pair(page.route)
    page.go({ ...now, [name]: target.value === "" ? null : Number(target.value) }, { replace: true })
  }
  return html`
    <select class="mono" aria-label=${name === "from" ? "Compare revision" : "with revision"} @change=${changed}>
      ${chosen === null ? html`<option value="" selected>nothing</option>` : nothing}
      ${revisions.map((revision) => html`<option value=${revision} .selected=${revision === chosen}>${revision}</option>`)}
    </select>`
}

/** @param {Versions} versions @param {any} side */
function difference(versions, from, to, side) {
  if (from === undefined) return html`<p class="hint" aria-busy="true">Loading…</p>`
  const [a, b] = [from, to]
    .sort((a, b) => (a ?? -1) - (b ?? -1))
    .map((revision) => (revision === null ? undefined : { revision, version: versions.at(revision) }))
  for (const one of [a, b])
    if (one?.version === null)
      return html`<p class="hint">Revision ${one.revision} did nothing to this key, or is no longer known.</p>`
  if ([a, b].some((one) => one && one.version === undefined)) return html`<p class="hint" aria-busy="true">Loading…</p>`
  const [before, after] = textsOf(a?.version.op, b?.version.op)
  const label = a && b ? `What changed from revision ${a.revision} to ${b.revision}` : `Revision ${b?.revision}`
  return differenceView(before, after, { side, label })
}
