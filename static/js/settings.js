// The preferences that this browser keeps. Storage may be forbidden; then everything is as it is by itself.

const NAMES = { singleKeys: ["single-key shortcuts", ["on", "off"]] }

/** What is chosen: for each setting the first of its values, unless another one was chosen. */
export function setting(name) {
  const [stored, values] = NAMES[name]
  try {
    const value = localStorage.getItem(stored)
    return values.includes(value) ? value : values[0]
  } catch {
    return values[0]
  }
}

export function choose(name, value) {
  try {
    localStorage.setItem(NAMES[name][0], value)
  } catch {
    // then it lasts as long as the page
  }
}
