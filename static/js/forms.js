// What JavaScript adds to the forms: a look at the password. They work without it.

for (const button of document.querySelectorAll("[data-reveals]")) {
  const input = document.getElementById(button.dataset.reveals)
  button.hidden = false
  button.addEventListener("click", () => {
    const shown = input.type === "password"
    input.type = shown ? "text" : "password"
    button.setAttribute("aria-pressed", String(shown))
    button.firstChild.data = shown ? "Hide" : "Show"
  })
  button.form.addEventListener("submit", () => (input.type = "password")) // so that browsers offer to keep it
}
