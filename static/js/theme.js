// Runs in <head>, before the first paint: the chosen theme, if there is one, else the system's; and how close rows stand.
// The rest of the preferences is at home in settings.js, which stores under the same names.
;(function () {
  const root = document.documentElement
  const themes = ["system", "light", "dark"]

  function stored(name) {
    try {
      return localStorage.getItem(name)
    } catch {
      return null // storage may be forbidden
    }
  }

  function show(name, value) {
    if (name === "density") return value === "compact" ? (root.dataset.density = value) : delete root.dataset.density
    const theme = themes.includes(value) ? value : "system"
    if (theme === "system") delete root.dataset.theme
    else root.dataset.theme = theme
    const button = document.getElementById("theme")
    if (!button) return
    button.hidden = false
    button.setAttribute("aria-label", `Theme: ${theme}`)
    button.title = `Theme: ${theme}`
  }

  function choose(theme) {
    try {
      localStorage.setItem("theme", theme)
    } catch {
      // then it lasts as long as the page
    }
    // Other tabs hear of it by themselves.
    dispatchEvent(new StorageEvent("storage", { key: "theme", newValue: theme }))
  }

  show("theme", stored("theme"))
  show("density", stored("density"))
  addEventListener("storage", ({ key, newValue }) => {
    if (key === null || key === "theme") show("theme", newValue)
    if (key === null || key === "density") show("density", newValue)
  })
  document.addEventListener("DOMContentLoaded", () => {
    show("theme", stored("theme"))
    document.getElementById("theme").addEventListener("click", () => {
      const now = root.dataset.theme ?? "system"
      choose(themes[(themes.indexOf(now) + 1) % themes.length])
    })
  })
})()
