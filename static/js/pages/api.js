// The page about the API: copies its samples and remembers the chosen language.

import { copy } from "../lib/clipboard.js"
import { choose, setting } from "../lib/settings.js"

const COPIED_MS = 2_000
const find = (/** @type {string} */ selector) => /** @type {any} */ (document.querySelector(selector))
const status = find("#copied")

for (const button of /** @type {NodeListOf<any>} */ (document.querySelectorAll(".sample button"))) {
  button.hidden = false
  button.addEventListener("click", async () => {
    const worked = await copy(button.closest(".sample").querySelector("code").textContent)
    status.textContent = worked ? "Copied." : "The browser did not let us copy. Select the text instead."
    button.toggleAttribute("data-copied", worked)
    setTimeout(() => button.removeAttribute("data-copied"), COPIED_MS)
  })
}

const languages = find(".segments")
languages.querySelector(`[value="${setting("language")}"]`).checked = true
languages.addEventListener("change", ({ target }) => choose("language", target.value))
