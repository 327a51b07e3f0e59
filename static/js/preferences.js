// The preferences that this browser keeps, on their page: each radio button or box names its setting.

import { choose, onSetting, setting } from "./settings.js"

const controls = [...document.querySelectorAll("[data-setting]")]

function show() {
  for (const control of controls) control.checked = setting(control.dataset.setting) === control.value
}

/** A box that is not ticked says `data-otherwise`. */
function chosen({ target }) {
  choose(target.dataset.setting, target.checked ? target.value : target.dataset.otherwise)
}

for (const control of controls) control.addEventListener("change", chosen)
onSetting(show)
show()
document.getElementById("preferences").hidden = false
