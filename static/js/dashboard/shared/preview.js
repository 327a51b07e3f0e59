// What one sees of a value at a glance. No DOM.

/** "object", "array", "text", "number", "true or false" or "null". */
export function kindOf(value) {
  if (value === null) return "null"
  if (Array.isArray(value)) return "array"
  return { object: "object", string: "text", number: "number", boolean: "true or false" }[typeof value]
}

const previews = new WeakMap()

/** The beginning of the value as compact JSON, for one line. Values do not change, so it is made once for each. */
export function previewOf(value, length = 120) {
  // A long text is cut before it is encoded, so that a row never costs more than what it shows.
  if (typeof value === "string") return JSON.stringify(value.slice(0, length))
  if (typeof value !== "object" || value === null) return String(value)
  if (!previews.has(value)) previews.set(value, JSON.stringify(value).slice(0, length))
  return previews.get(value)
}
