// Import of a file: its content type, the texts of progress and result, and undoing it.
// Does not touch the page; `call` is injected.

const NDJSON = "application/x-ndjson"
const JSON_TYPE = "application/json"
const KINDS = ["added", "changed", "removed"]

/** Return the content type of a file: by its name or, if that is not conclusive, by its beginning. */
export function typeOf(name, beginning) {
  if (/\.(ndjson|jsonl)$/i.test(name)) return NDJSON
  if (/\.json$/i.test(name)) return JSON_TYPE
  const [first, second = ""] = beginning.replace(/^\ufeff/, "").split("\n", 2)
  return second.trim() && isObject(first) ? NDJSON : JSON_TYPE
}

/** Return how many keys the import has changed, or would change. */
export function touched(answer) {
  return KINDS.reduce((sum, kind) => sum + answer[kind], 0)
}

/** Return the result in words: "3 keys were added, 1 removed", or with `would` "3 keys would be added, 1 removed". */
export function inWords(answer, would = false) {
  const [first, ...rest] = KINDS.filter((kind) => answer[kind])
  if (first === undefined) return would ? "Nothing would change" : "Nothing was changed"
  const be = would ? "would be" : answer[first] === 1 ? "was" : "were"
  return [`${keys(answer[first])} ${be} ${first}`, ...rest.map((kind) => `${number(answer[kind])} ${kind}`)].join(", ")
}

/** Return sentences about the keys that are left unchanged, with the reason. */
export function leftAlone({ unchanged, skipped, expired, outside }) {
  const told = []
  if (unchanged) told.push(`${keys(unchanged)} already ${unchanged === 1 ? "is" : "are"} as in the file.`)
  if (skipped) told.push(`${keys(skipped)} ${skipped === 1 ? "is" : "are"} in the store already, and kept as they are.`)
  if (expired) told.push(`${keys(expired)} of the file ${expired === 1 ? "has" : "have"} expired.`)
  if (outside) told.push(`${keys(outside)} of the file ${outside === 1 ? "begins" : "begin"} otherwise.`)
  return told
}

/** Return an import's progress for a progress bar: {text, done, total}; `total` is 0 while unknown. */
export function progress(phase, done, total) {
  if (phase === "receiving") return { text: `Uploading: ${percent(done, total)}`, done, total }
  if (phase === "writing") return { text: `Writing: ${number(done)} of ${keys(total)}`, done, total }
  return { text: "Checking every line", done: 0, total: 0 }
}

/**
 * Undo writes, newest first. Resolves to {undone, refusal}: the number of undone writes, and the error that stopped it
 * or null. `call(verb, payload)` resolves to the answer or rejects; `told(done, total)` is called after each.
 *
 * @param {number[]} revisions
 * @param {(verb: string, payload: object) => Promise<unknown>} call
 * @param {(done: number, total: number) => void} told
 */
export async function undoAll(revisions, call, told = () => {}) {
  let undone = 0
  for (const revision of [...revisions].reverse()) {
    try {
      // The op_id is fixed, so a repeated request after a lost answer undoes nothing twice.
      await call("undo", { revision, op_id: `undo-import-${revision}` })
    } catch (refusal) {
      return { undone, refusal }
    }
    told(++undone, revisions.length)
  }
  return { undone, refusal: null }
}

/** Return the reason for a missing answer to an import, by the status that came instead; 0: no response at all. */
export function withoutAnswer(status) {
  const again = "Import the file again when the server answers: what has been written is not written twice."
  if (status === 413)
    return "A proxy in front of this server refuses files of this size (413), before the server sees them. Its operator has to raise the limit, which nginx calls client_max_body_size; until then, import the file in smaller parts."
  if (status >= 502 && status <= 504)
    return `A proxy in front of this server answered ${status}: it could not reach the server, or gave up waiting. ${again}`
  if (status > 0)
    return `Something in front of this server answered instead of it (${status}), so it is not known what was written. ${again}`
  return `The server gave no answer. ${again} If this happens with large files only, a proxy in front of it may refuse them (client_max_body_size in nginx).`
}

/** Format a number of bytes: "68 B", "2.1 MiB". */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`
  const step = Math.min(4, Math.floor(Math.log2(bytes) / 10))
  return `${(bytes / 1024 ** step).toFixed(1).replace(/\.0$/, "")} ${["KiB", "MiB", "GiB", "TiB"][step - 1]}`
}

export const number = (count) => count.toLocaleString("en")
export const keys = (count) => `${number(count)} ${count === 1 ? "key" : "keys"}`

function percent(done, total) {
  return total ? `${Math.floor((100 * done) / total)} %` : "0 %"
}

function isObject(text) {
  try {
    const value = JSON.parse(text)
    return value !== null && typeof value === "object" && !Array.isArray(value)
  } catch {
    return false
  }
}
