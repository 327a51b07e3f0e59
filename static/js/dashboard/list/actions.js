// Actions on one key, a folder or many keys. Each can be undone as one action, and none overwrites a concurrent write.
// Loaded when first needed.

import { html, render } from "../../vendor/lit-html/lit-html.js"
import { count, keyText } from "../shared/view-helpers.js"

/**
 * @import { Client } from "../../client/client.js"
 * @import { BatchOp } from "../../client/verbs.js"
 * @import { DashboardModel } from "../dashboard-model.js"
 */

const BATCH = 128 // ops in one write
const WRITE = 1_000 // keys in one write under a prefix

/** Return the name of these keys: the key, the folder, or their number. */
export function nameOf({ keys, folder = null }) {
  if (folder !== null) return html`<b class="mono">${keyText(folder)}</b>`
  return keys.length === 1 ? html`<b class="mono">${keyText(keys[0])}</b>` : count(keys.length, "key", "keys")
}

/**
 * Delete the entries that are shown, and nothing newer. `what`: {keys, folder}; `folder` if these are all of its keys.
 * @param {DashboardModel} model
 */
export async function remove(model, what) {
  const { kv, browse, opened, undo, page } = model
  const { keys, folder = null } = what
  if (keys.length === 1 && folder === null) return opened.remove(keys[0], browse.entry(keys[0]))
  if (keys.length > WRITE && !(await agreed(model, what))) return
  const focused = browse.rows.indexOf(browse.current)
  // with the revisions as shown: a later write may wait for a connection
  const ops = keys
    .filter((key) => browse.entry(key))
    .map((key) => ({ op: "delete", key, ifRevision: browse.entry(key).revision }))
  const byName = folder !== null && ops.length > BATCH && ops.length <= WRITE && kv.state === "live" && !browse.paused
  const done = await inWrites(byName ? [() => kv.deletePrefix(folder)] : inBatches(kv, ops))
  if (done.revisions.length > 0) {
    browse.selection.clear()
    undo.offer(html`Deleted ${nameOf(what)}`, done.revisions)
    if (opened.open && keys.includes(opened.open.key)) opened.close()
    browse.current = browse.rows.at(Math.min(Math.max(0, focused), browse.rows.length - 1)) ?? null
    page.focus("list")
  }
  tell(model, done, "deleted")
}

/**
 * Ask before deleting this many keys: undoing it takes a while.
 * @param {DashboardModel} model
 */
function agreed(model, what) {
  const place = model.page.dialogs
  return new Promise((resolve) => {
    const close = (yes) => (event) => {
      resolve(yes)
      event.currentTarget.closest("dialog").close()
    }
    render(
      html`
        <dialog id="delete-many" aria-labelledby="delete-many-title" @close=${() => resolve(false)}>
          <h2 id="delete-many-title">Delete ${nameOf(what)}?</h2>
          <p>${count(what.keys.length, "key goes", "keys go")} to the trash, and can be had back from there.</p>
          <div class="row-of-buttons">
            <button type="button" class="danger" @click=${close(true)}>Delete</button>
            <button type="button" class="primary" @click=${close(false)}>Keep</button>
          </div>
        </dialog>`,
      place,
    )
    place.querySelector("dialog").showModal()
  })
}

/**
 * Move or copy; `to(key)` is the new key, `from` and `into` are the same for a folder or a single key.
 * @param {DashboardModel} model
 */
export async function transfer(model, { keys, folder = null, copying, to, from, into }) {
  const { kv, browse, opened, undo, page } = model
  const single = from !== undefined && keys.length <= WRITE
  const expiry = ({ expires_at }) =>
    expires_at ? Math.max(1, (Date.parse(expires_at) - model.now()) / 1_000) : undefined
  const ops = (key) => {
    const entry = kv.entry(key)
    if (!entry) return []
    const made = { op: "set", key: to(key), value: entry.value, ifRevision: 0, ttl: expiry(entry) }
    return copying ? [made] : [made, { op: "delete", key, ifRevision: entry.revision }]
  }
  const open = opened.open?.key
  const done = await inWrites(
    single ? [() => (copying ? kv.copy(from, into) : kv.move(from, into))] : inBatches(kv, keys, ops),
  )
  if (done.revisions.length > 0) {
    browse.selection.clear()
    if (!copying) for (const key of keys) opened.moved(key, to(key))
    undo.offer(html`${copying ? "Copied" : "Moved"} ${nameOf({ keys, folder })}`, done.revisions)
    if (keys.length === 1 && folder === null) opened.openKey(to(keys[0]))
    else if (!copying && keys.includes(open)) page.go({ key: to(open) }, { replace: true })
  }
  return done
}

/**
 * Return the target keys that exist already. Nothing is ever overwritten.
 * @param {DashboardModel} model
 * @param {string[]} keys
 */
export function taken(model, keys, to) {
  return keys.map(to).filter((key) => model.kv.held(key))
}

/** @param {DashboardModel} model */
export function tell(model, { refusal, revisions }, verb) {
  if (!refusal) return
  const moved = refusal.code === "conflict" ? "something has just changed in another tab" : refusal.message
  model.page.toast(revisions.length > 0 ? `Only a part was ${verb}: ${moved}` : `Nothing was ${verb}: ${moved}`)
}

/** Perform the writes one after the other, until one is rejected: {revisions, refusal}. */
async function inWrites(writes) {
  const revisions = []
  try {
    for (const write of writes) revisions.push((await write()).revision)
    return { revisions, refusal: null }
  } catch (refusal) {
    if (!refusal.code) throw refusal
    return { revisions, refusal }
  }
}

/**
 * Yield batches within the limits, each created when it is sent: `ops(item)` sees the changes until then.
 * @param {Client} kv
 */
function* inBatches(kv, items, ops = (/** @type {any} */ op) => [op]) {
  for (const part of kv.parts(items, ops)) yield () => kv.batch(/** @type {BatchOp[]} */ (part))
}

/**
 * Download these keys and their values as a JSON file that can be imported.
 * @param {DashboardModel} model
 * @param {string[]} keys
 */
export function download(model, keys, name = "keys") {
  const values = Object.create(null)
  for (const key of keys) values[key] = model.kv.held(key)?.value
  const url = URL.createObjectURL(new Blob([JSON.stringify(values, null, 2), "\n"], { type: "application/json" }))
  const link = Object.assign(document.createElement("a"), {
    href: url,
    download: `${name.replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^-+|-+$/g, "") || "keys"}.json`,
  })
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
  model.page.toast(html`Exported ${nameOf({ keys })}`)
}

const SAMPLE = {
  "app/banner": "Maintenance on Sunday, 02:00 UTC",
  "app/feature-flags": { checkout: true, beta: ["ada", "grace"], rollout: 0.25 },
  "app/maintenance": false,
  "app/rate-limit": 250,
  "devices/berlin/door": { open: false, battery: 0.82 },
  "devices/berlin/greenhouse": { temperature: 21.5, humidity: 0.61 },
  "devices/oslo/harbour": { temperature: 4.2, wind: [11.3, "NW"] },
  "notes/shopping": ["oat milk", "coffee", "lemons"],
  "notes/welcome": "Open this page in a second tab, and change something there.",
  readme: "A value is any JSON: text, numbers, true and false, null, lists and objects.",
}

/**
 * Write sample data: a small tree, in one write.
 * @param {DashboardModel} model
 */
export async function loadSample(model) {
  const done = await inWrites([
    () => model.kv.batch(Object.entries(SAMPLE).map(([key, value]) => ({ op: "set", key, value, ifRevision: 0 }))),
  ])
  if (done.refusal) return tell(model, done, "written")
  model.undo.offer("Loaded the sample data", done.revisions)
  model.page.focus("list")
}
