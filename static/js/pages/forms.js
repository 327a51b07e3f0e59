// JavaScript additions to forms and result pages: show the password, rate its length, copy, print. All of them work
// without JavaScript.

import { copy } from "../lib/clipboard.js"

const el = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id))
const each = (/** @type {string} */ selector, /** @type {(element: any) => void} */ fn) =>
  document.querySelectorAll(selector).forEach(fn)

each("[data-reveals]", (button) => {
  const input = el(button.dataset.reveals)
  button.hidden = false
  button.addEventListener("click", () => {
    const shown = input.type === "password"
    input.type = shown ? "text" : "password"
    button.setAttribute("aria-pressed", String(shown))
    button.firstChild.data = shown ? "Hide" : "Show"
  })
  button.form.addEventListener("submit", () => (input.type = "password")) // browsers then offer to save it
})

// Only the length is checked here; the server checks whether the password is easy to guess.
each("[data-measured]", (input) => {
  const place = el(input.dataset.measured)
  input.addEventListener("input", () => {
    const text = measure(input.value)
    if (place.textContent !== text) place.textContent = text
  })
})

each("[data-copies]", (button) => {
  const label = button.textContent
  button.hidden = false
  button.addEventListener("click", async () => {
    const copied = await copy(el(button.dataset.copies).textContent)
    button.textContent = copied ? "Copied" : "Copy it by hand"
    el(button.dataset.says).textContent = copied ? "Copied" : "The browser did not let us copy"
    setTimeout(() => (button.textContent = label), 2_000)
  })
})

each("[data-prints]", (button) => {
  button.hidden = false
  button.addEventListener("click", () => print())
})

// A double click would send the form twice, and the second answer would replace the first.
const DOUBLE_CLICK = 2_000
const sent = new WeakMap() // form → when

addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target)
  if (form.method !== "post" || event.defaultPrevented) return
  if (performance.now() - (sent.get(form) ?? -Infinity) < DOUBLE_CLICK) event.preventDefault()
  else sent.set(form, performance.now())
})

function measure(password) {
  const length = [...password].length
  if (length === 0) return ""
  if (length < 8) return "Too short so far."
  if (length < 14) return "Long enough, if it is not a common word or a name."
  return "A good length."
}
