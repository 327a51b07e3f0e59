// The settings of this browser: reads and writes all of them. A choice takes effect at once in every tab.
// If storage is forbidden, a choice lasts as long as the page.

/**
 * name → its storage key, and its values; the first one is the default.
 * @type {Record<string, [string, string[]]>}
 */
const SETTINGS = {
  theme: ["theme", ["system", "light", "dark"]], // these two are also read by theme.js, before the first paint
  density: ["density", ["comfortable", "compact"]],
  singleKeys: ["single-key shortcuts", ["on", "off"]],
  announcements: ["announcements", ["open", "all", "off"]],
  plainEditor: ["plain editor", ["off", "on"]],
  view: ["tree or list", ["tree", "list"]],
  times: ["times", ["relative", "absolute"]],
  language: ["language of samples", ["curl", "javascript", "python"]],
  difference: ["difference", ["unified", "side"]],
}

const chosen = new Map() // storage key → the value that was read or chosen

export const settings = Object.keys(SETTINGS)

/**
 * Return the value of a setting.
 * @param {string} name
 */
export function setting(name) {
  const [place, values] = SETTINGS[name]
  if (!chosen.has(place)) chosen.set(place, read(place))
  const value = chosen.get(place)
  return values.includes(value) ? value : values[0]
}

/** @param {string} name @param {string} value */
export function choose(name, value) {
  const [place] = SETTINGS[name]
  try {
    localStorage.setItem(place, value)
  } catch {
    // The choice is then in `chosen` alone.
  }
  // Browsers send this event to the other tabs only.
  dispatchEvent(new StorageEvent("storage", { key: place, newValue: value }))
}

/**
 * Call `fn()` whenever a setting has changed, in this or another tab.
 * @param {() => void} fn
 */
export function onSetting(fn) {
  listeners.add(fn)
}

const listeners = new Set()

globalThis.addEventListener?.("storage", ({ key, newValue }) => {
  if (key === null) chosen.clear()
  else if (Object.values(SETTINGS).some(([place]) => place === key)) chosen.set(key, newValue)
  else return
  for (const fn of listeners) fn()
})

/** @param {string} place */
function read(place) {
  try {
    const value = localStorage.getItem(place)
    // theme.js keeps the theme in a cookie, which survives signing out.
    return (
      value ?? (place === "theme" ? (globalThis.document?.cookie?.match(/(?:^|; )rkv_theme=(\w+)/)?.[1] ?? null) : null)
    )
  } catch {
    return null
  }
}
