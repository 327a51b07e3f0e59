// Runs in <head>, before the first paint: the chosen theme, if there is one, else the system's.
;(function () {
  const root = document.documentElement
  const choices = ["system", "light", "dark"]

  function chosen() {
    try {
      const theme = localStorage.getItem("theme")
      return choices.includes(theme) ? theme : "system"
    } catch {
      return "system" // storage may be forbidden
    }
  }

  function show(theme) {
    if (theme === "system") delete root.dataset.theme
    else root.dataset.theme = theme
    const button = document.getElementById("theme")
    if (!button) return
    button.hidden = false
    button.setAttribute("aria-label", `Theme: ${theme}`)
    button.title = `Theme: ${theme}`
    const radio = document.getElementById(`theme-${theme}`)
    if (radio) radio.checked = true
  }

  function choose(theme) {
    try {
      localStorage.setItem("theme", theme)
    } catch {
      // then it lasts as long as the page
    }
    show(theme)
  }

  show(chosen())
  addEventListener("storage", (event) => event.key === "theme" && show(chosen()))
  document.addEventListener("DOMContentLoaded", () => {
    show(chosen())
    document.getElementById("theme").addEventListener("click", () => {
      const now = root.dataset.theme ?? "system"
      choose(choices[(choices.indexOf(now) + 1) % choices.length])
    })
    const themes = document.getElementById("themes")
    if (!themes) return
    themes.hidden = false
    themes.addEventListener("change", (event) => choose(event.target.value))
  })
})()
