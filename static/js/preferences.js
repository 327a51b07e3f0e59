// The preferences that this browser keeps, on their page. The theme's own radio buttons are theme.js's.

import { singleKeysAreOn, switchSingleKeys } from "./dashboard/shortcuts.js"

const singleKeys = document.getElementById("single-keys")
singleKeys.checked = singleKeysAreOn()
singleKeys.addEventListener("change", () => switchSingleKeys(singleKeys.checked))
document.getElementById("keyboard").hidden = false
