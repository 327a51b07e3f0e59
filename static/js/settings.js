// The preferences that this browser keeps: their one home. A choice holds at once, here and in every other tab.
// Storage may be forbidden; then a choice lasts as long as the page.

/** name → where it is stored, and its values; the first one holds unless another one was chosen. */
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

const chosen = new Map() // what was read or chosen, by where it is stored

export const settings = Object.keys(SETTINGS)

/** What is chosen. */
export function setting(name) {
  const [place, values] = SETTINGS[name]
  if (!chosen.has(place)) chosen.set(place, read(place))
  const value = chosen.get(place)
  return values.includes(value) ? value : values[0]
}

export function choose(name, value) {
  const [place] = SETTINGS[name]
  try {
    localStorage.setItem(place, value)
  } catch {
    // then it is kept in `chosen` alone
  }
  // What the other tabs hear of by themselves, this one hears of in the same way.
  dispatchEvent(new StorageEvent("storage", { key: place, newValue: value }))
}

/** Calls `fn()` whenever a setting has become another one, here or in another tab. */
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

function read(place) {
  try {
    const value = localStorage.getItem(place)
    // theme.js keeps it beyond signing out
    return value ?? (place === "theme" ? (globalThis.document?.cookie?.match(/(?:^|; )rkv_theme=(\w+)/)?.[1] ?? null) : null)
  } catch {
    return null
  }
}
