// Applies the chosen theme (default: the system's) and the row density; runs in <head>, before the first paint.
// The other settings are in settings.js, which stores under the same names.
;(() => {
  const root = document.documentElement
  const themes = ["system", "light", "dark"]

  /** @param {string} name */
  function stored(name) {
    try {
      return localStorage.getItem(name) ?? (name === "theme" ? inCookie() : null)
    } catch {
      return name === "theme" ? inCookie() : null // storage may be forbidden
    }
  }

  // Signing out clears the storage of this site. The theme reveals nothing about a user, so a cookie keeps it.
  const COOKIE = "rkv_theme"
  const YEAR = 365 * 86_400

  function inCookie() {
    return document.cookie.match(/(?:^|; )rkv_theme=(\w+)/)?.[1] ?? null
  }

  /** @param {string} theme */
  function keepInCookie(theme) {
    document.cookie = `${COOKIE}=${theme}; Path=/; Max-Age=${YEAR}; SameSite=Lax${location.protocol === "https:" ? "; Secure" : ""}`
  }

  /** @param {string} name @param {string | null} value */
  function show(name, value) {
    if (name === "density") {
      if (value === "compact") root.dataset.density = value
      else delete root.dataset.density
      return
    }
    const theme = themes.find((known) => known === value) ?? "system"
    if (theme === "system") delete root.dataset.theme
    else root.dataset.theme = theme
    const button = document.getElementById("theme")
    if (!button) return
    button.hidden = false
    button.setAttribute("aria-label", `Theme: ${theme}`)
    button.title = `Theme: ${theme}`
  }

  /** @param {string} theme */
  function choose(theme) {
    try {
      localStorage.setItem("theme", theme)
    } catch {
      // The choice then lasts as long as the page.
    }
    // Browsers send this event to the other tabs only.
    dispatchEvent(new StorageEvent("storage", { key: "theme", newValue: theme }))
  }

  const chosen = stored("theme") ?? ""
  show("theme", chosen)
  // Write the cookie again: the theme may be older than the cookie, or the cookie's year nearly over.
  if (themes.includes(chosen)) keepInCookie(chosen)
  show("density", stored("density"))
  addEventListener("storage", ({ key, newValue }) => {
    if (key === null || key === "theme") show("theme", newValue ?? inCookie())
    if (key === "theme" && newValue && themes.includes(newValue)) keepInCookie(newValue)
    if (key === null || key === "density") show("density", newValue)
  })
  document.addEventListener("DOMContentLoaded", () => {
    show("theme", stored("theme"))
    document.getElementById("theme")?.addEventListener("click", () => {
      const now = root.dataset.theme ?? "system"
      choose(themes[(themes.indexOf(now) + 1) % themes.length])
    })
  })
})()
