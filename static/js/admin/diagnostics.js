// Keeps the diagnostics moving: asks every two seconds and puts texts and lines in their places. The page works without.

const SECONDS = 2
const page = document.getElementById("diagnostics")
const state = document.getElementById("moving")
const button = document.getElementById("pause")
let paused = false
let timer

async function refresh() {
  clearTimeout(timer)
  if (paused || document.hidden) return
  try {
    const answer = await fetch("/admin/diagnostics.json", { redirect: "error", cache: "no-store" })
    if (answer.status === 401 || answer.status === 403) return location.reload()
    show(await answer.json())
    tell("Moving live")
  } catch {
    tell("No answer from the server; trying again")
  }
  timer = setTimeout(refresh, SECONDS * 1000)
}

function show({ at, headlines, facts, charts }) {
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
  page.dataset.at = at
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
  tell(paused ? "Paused" : "Moving live")
  refresh()
})
document.addEventListener("visibilitychange", refresh)
refresh()
