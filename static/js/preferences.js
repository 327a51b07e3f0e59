// The preferences that this browser keeps, on their page. The theme's own radio buttons are theme.js's.

import { choose, setting } from "./settings.js"

const singleKeys = document.getElementById("single-keys")
singleKeys.checked = setting("singleKeys") === "on"
singleKeys.addEventListener("change", () => choose("singleKeys", singleKeys.checked ? "on" : "off"))
document.getElementById("keyboard").hidden = false
