// The preferences page, for settings stored in this browser: each radio button or checkbox names its setting.

import { choose, onSetting, setting } from "../lib/settings.js"

const controls = [.../** @type {NodeListOf<any>} */ (document.querySelectorAll("[data-setting]"))]

function show() {
  for (const control of controls) control.checked = setting(control.dataset.setting) === control.value
}

/** Store the chosen value; that of an unchecked box is in `data-otherwise`. */
function chosen({ target }) {
  choose(target.dataset.setting, target.checked ? target.value : target.dataset.otherwise)
}

for (const control of controls) control.addEventListener("change", chosen)
onSetting(show)
show()
const form = /** @type {HTMLElement} */ (document.getElementById("preferences"))
form.hidden = false
