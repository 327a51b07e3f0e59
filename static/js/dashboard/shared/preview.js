// Short forms of a value: its kind and a one-line preview. No DOM.

/** Return "object", "array", "text", "number", "true or false" or "null". */
export function kindOf(value) {
  if (value === null) return "null"
  if (Array.isArray(value)) return "array"
  return { object: "object", string: "text", number: "number", boolean: "true or false" }[typeof value]
}

const previews = new WeakMap()

/** Return the beginning of the value as compact JSON, for one line. Cached per value, since values do not change. */
export function previewOf(value, length = 120) {
  // Cut a long text before encoding it, so that the cost of a row depends only on its visible part.
  if (typeof value === "string") return JSON.stringify(value.slice(0, length))
  if (typeof value !== "object" || value === null) return String(value)
  if (!previews.has(value)) previews.set(value, JSON.stringify(value).slice(0, length))
  return previews.get(value)
}
