// The import form of /account/data: choose a file, try it, import it, undo the import.

import {
  inWords,
  keys,
  leftAlone,
  number,
  progress,
  size,
  touched,
  typeOf,
  undoAll,
  withoutAnswer,
} from "./import-format.js"

const POLL = 400
const el = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id))
const form = el("import-form")
const file = el("file")
const bar = el("import-bar")
const result = el("import-result")
const problem = el("import-problem")
const buttons = { try: el("try"), import: el("import"), undo: el("undo") }
const limit = Number(form.dataset.limit)
const user = document.querySelector("#user .user-name")?.textContent

let busy = false
let revisions = [] // of the import that can be undone

form.hidden = false
el("import-plain").hidden = true

form.addEventListener("submit", (event) => {
  event.preventDefault()
  if (!busy) run(true)
})
form.addEventListener("input", () => {
  if (!busy) reset()
})
buttons.import.addEventListener("click", () => busy || run(false))
buttons.undo.addEventListener("click", () => busy || undo())
addEventListener("beforeunload", (event) => busy && event.preventDefault())

async function run(dryRun) {
  reset()
  if (!file.files.length) return complain("Choose a file first.", file)
  const [chosen] = file.files
  if (chosen.size > limit) return complain(`This file is too large: ${size(limit)} are the most here.`, file)
  await working(dryRun ? buttons.try : buttons.import, async () => {
    const type = typeOf(chosen.name, await chosen.slice(0, 65_536).text())
    const answer = await send(chosen, type, dryRun)
    dryRun ? showTrial(answer) : showDone(answer)
  })
}

async function undo() {
  const wanted = revisions
  say("")
  await working(buttons.undo, async () => {
    const { undone, refusal } = await undoAll(wanted, call, (done, total) =>
      advance({ text: `Undoing: ${done} of ${total}`, done, total }),
    )
    revisions = wanted.slice(0, wanted.length - undone)
    buttons.undo.hidden = revisions.length === 0
    refreshUsage()
    if (refusal === null) return show("Undone", ["Every key is as it was before the import."])
    const part = undone ? `${undone} of ${wanted.length} parts are undone, and the rest is not` : "Nothing was undone"
    throw new Error(`${part}: ${refusal.message}`)
  })
}

/** Run `work` with the buttons disabled; show its error, and keep the focus. */
async function working(button, work) {
  busy = true
  form.setAttribute("aria-busy", "true")
  for (const each of Object.values(buttons)) each.setAttribute("aria-disabled", "true")
  try {
    await ours()
    await work()
  } catch (error) {
    if (error.status === 401) return location.reload()
    complain(error.message)
    if (error.written) showDone(error.written)
  } finally {
    busy = false
    form.removeAttribute("aria-busy")
    bar.hidden = true
    for (const each of Object.values(buttons)) each.removeAttribute("aria-disabled")
    if (button.hidden && document.activeElement === document.body) result.focus()
  }
}

/** Throw if another tab has signed in another user: the import would change that user's keys. */
async function ours() {
  const answer = await fetch("/api/v1/me", { cache: "no-store" }).catch(() => null)
  const body = await answer?.json().catch(() => null)
  if (!answer?.ok) throw failed(answer?.status ?? 0, body)
  if (body.user.username !== user)
    throw new Error("Somebody else has signed in in this browser. Load this page again to go on as them.")
}

function showTrial(answer) {
  const count = touched(answer)
  buttons.import.hidden = count === 0
  show(inWords(answer, true), [...leftAlone(answer), ...(count ? ["Nothing is written yet."] : [])])
  buttons.import.textContent = `Import ${keys(count)}`
  // A red button if keys would be removed.
  buttons.import.classList.toggle("danger", answer.removed > 0)
  buttons.import.classList.toggle("primary", answer.removed === 0)
}

function showDone(answer) {
  revisions = answer.revisions
  buttons.undo.hidden = revisions.length === 0
  show(inWords(answer), leftAlone(answer))
  refreshUsage()
}

function show(heading, sentences) {
  el("import-heading").textContent = heading
  el("import-told").textContent = sentences.join(" ")
  result.hidden = false
  leadOn()
  say([heading, ...sentences].join(". "))
}

function reset() {
  result.hidden = problem.hidden = buttons.import.hidden = buttons.undo.hidden = true
  revisions = []
  file.removeAttribute("aria-invalid")
  leadOn()
  say("")
}

/** Make trying the primary action until the import or undo button is shown. */
function leadOn() {
  buttons.try.classList.toggle("primary", buttons.import.hidden && buttons.undo.hidden)
}

function complain(text, field) {
  problem.textContent = text
  problem.hidden = false
  if (!field) return
  field.setAttribute("aria-invalid", "true")
  field.focus()
}

function say(text) {
  el("import-status").textContent = text
}

function advance({ text, done, total }) {
  bar.hidden = false
  el("import-phase").textContent = text
  const element = bar.querySelector("progress")
  if (total) Object.assign(element, { max: total, value: done })
  else element.removeAttribute("value")
}

/** Upload the file, and show the progress of the upload and then of the import. */
function send(chosen, type, dryRun) {
  const fields = new FormData(form)
  const query = new URLSearchParams({ mode: String(fields.get("mode")), dry_run: String(dryRun) })
  if (fields.get("prefix")) query.set("prefix", String(fields.get("prefix")))
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    let timer
    request.open("POST", `/api/v1/import?${query}`)
    request.setRequestHeader("Content-Type", type)
    request.responseType = "json"
    request.upload.addEventListener("progress", ({ loaded, total }) => advance(progress("receiving", loaded, total)))
    request.upload.addEventListener("load", () => {
      advance(progress("checking", 0, 0))
      timer = setInterval(look, POLL)
    })
    request.addEventListener("loadend", () => {
      clearInterval(timer)
      if (request.status === 200 && request.response) resolve(request.response)
      else reject(failed(request.status, request.response))
    })
    advance(progress("receiving", 0, chosen.size))
    request.send(chosen)
  })
}

async function look() {
  const answer = await fetch("/api/v1/import", { cache: "no-store" })
    .then((answer) => answer.json())
    .catch(() => ({}))
  const { phase, done, total } = answer.import ?? {}
  // A late answer describes an earlier phase.
  if (busy && phase && phase !== "receiving") advance(progress(phase, done, total))
}

async function call(verb, payload) {
  const request = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(payload) }
  const answer = await fetch(`/api/v1/${verb}`, request).catch(() => null)
  const body = await answer?.json().catch(() => null)
  if (!answer?.ok || !body) throw failed(answer?.status ?? 0, body)
  return body
}

function failed(status, body) {
  const error = /** @type {any} */ (new Error(body?.detail ?? withoutAnswer(status)))
  error.status = status
  if (body?.written) error.written = { unchanged: 0, skipped: 0, expired: 0, outside: 0, ...body.written }
  return error
}

/** Update the usage bars above the form, which the server rendered. */
async function refreshUsage() {
  const { usage, limits } = await fetch("/api/v1/me")
    .then((answer) => answer.json())
    .catch(() => ({}))
  if (!usage) return
  for (const [name, words] of /** @type {[string, (value: number) => string][]} */ ([
    ["keys", number],
    ["bytes", size],
  ])) {
    const used = el(`usage-${name}`)
    used.nextElementSibling.textContent = `${words(usage[name])} of ${words(limits[name])}`
    used.closest(".usage").querySelector("progress").value = usage[name]
  }
}
