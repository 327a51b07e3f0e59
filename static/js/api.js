// The page about the API: its samples can be copied, and it opens in the language that was chosen last.

import { copy } from "./clipboard.js"

const COPIED_MS = 2_000
const REMEMBERED = "rkv-language"
const status = document.querySelector("#copied")

for (const button of document.querySelectorAll(".sample button")) {
  button.hidden = false
  button.addEventListener("click", async () => {
    const worked = await copy(button.closest(".sample").querySelector("code").textContent)
    status.textContent = worked ? "Copied." : "The browser did not let us copy. Select the text instead."
    button.toggleAttribute("data-copied", worked)
    setTimeout(() => button.removeAttribute("data-copied"), COPIED_MS)
  })
}

const languages = document.querySelector(".segments")
try {
  const chosen = [...languages.querySelectorAll("input")].find(({ value }) => value === localStorage.getItem(REMEMBERED))
  if (chosen) chosen.checked = true
  languages.addEventListener("change", ({ target }) => localStorage.setItem(REMEMBERED, target.value))
} catch {
  // storage may be switched off: it opens with curl then
}
