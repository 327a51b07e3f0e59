// Updates the diagnostics page: polls every two seconds and replaces texts and charts. The page works without it.

const SECONDS = 2
const el = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id))
const page = el("diagnostics")
const state = el("moving")
const button = el("pause")
let paused = false
let limitsShown = ""
let timer

async function refresh() {
  clearTimeout(timer)
  if (paused || document.hidden) return
  try {
    const answer = await fetch("/admin/diagnostics.json", { redirect: "error", cache: "no-store" })
    if (answer.status === 401 || answer.status === 403) return location.reload()
    show(await answer.json())
    tell("Live")
  } catch {
    tell("No answer from the server; trying again")
  }
  timer = setTimeout(refresh, SECONDS * 1000)
}

function show({ at, headlines, facts, charts, limits }) {
  for (const [name, text] of Object.entries(headlines)) put(page.querySelector(`[data-headline="${name}"]`), text)
  for (const group of Object.values(facts))
    for (const [name, text] of Object.entries(group)) put(page.querySelector(`[data-fact="${name}"]`), text)
  for (const [name, { paths, words, most }] of Object.entries(charts)) {
    const chart = page.querySelector(`[data-chart="${name}"]`)
    chart.setAttribute("aria-label", words)
    for (const [figure, path] of Object.entries(paths))
      chart.querySelector(`[data-figure="${figure}"]`).setAttribute("d", path)
    put(page.querySelector(`[data-most="${name}"]`), most)
  }
  showLimits(limits)
  page.dataset.at = at
}

// Replaces the rows only if they have changed, so that a focused link keeps its focus.
function showLimits(limits) {
  const now = JSON.stringify(limits)
  if (now === limitsShown) return
  limitsShown = now
  const table = el("limits")
  const focused = document.activeElement?.closest("#limits tr")
  const index = focused ? [...table.tBodies[0].rows].indexOf(focused) : -1
  table.tBodies[0].replaceChildren(...limits.map(limitRow))
  table.hidden = !limits.length
  el("no-limits").hidden = limits.length > 0
  if (index >= 0) table.tBodies[0].rows[index]?.querySelector("a")?.focus()
}

function limitRow({ limit, account, network, credential, count, first, last }) {
  const row = document.createElement("tr")
  const head = document.createElement("th")
  head.scope = "row"
  head.textContent = limit
  /** @type {any} */
  let who = "–"
  if (account) {
    who = document.createElement("a")
    who.href = `/admin/users/${account.id}`
    who.textContent = account.name
  }
  row.append(head, cell("Account", who), cell("Network", network, "mono"), cell("Session or token", credential, "mono"))
  row.append(cell("Count", count, "n"), cell("First", first), cell("Last", last))
  return row
}

function cell(label, content, kind = "") {
  const made = document.createElement("td")
  made.dataset.label = label
  if (kind) made.className = kind
  made.append(content)
  return made
}

function put(element, text) {
  if (element && element.textContent !== text) element.textContent = text
}

function tell(text) {
  put(state, text)
}

button.hidden = false
button.addEventListener("click", () => {
  paused = !paused
  button.setAttribute("aria-pressed", String(paused))
  tell(paused ? "Paused" : "Live")
  refresh()
})
document.addEventListener("visibilitychange", refresh)
refresh()
