// A file on its way into the store, and back out by undoing: what it is, how far it has come, what that made of the keys.
// Knows nothing of the page; `call`, `ask` and `later` are given.

const NDJSON = "application/x-ndjson"
const JSON_TYPE = "application/json"
const KINDS = ["added", "changed", "removed"]

/** The content type of a file, by its name or, where that does not tell, by how it begins. */
export function typeOf(name, beginning) {
  if (/\.(ndjson|jsonl)$/i.test(name)) return NDJSON
  if (/\.json$/i.test(name)) return JSON_TYPE
  const [first, second = ""] = beginning.replace(/^\ufeff/, "").split("\n", 2)
  return second.trim() && isObject(first) ? NDJSON : JSON_TYPE
}

/** How many keys an answer has changed, or would. */
export function touched(answer) {
  return KINDS.reduce((sum, kind) => sum + answer[kind], 0)
}

/** "3 keys were added, 1 removed", or with `would` what would be. */
export function inWords(answer, would = false) {
  const [first, ...rest] = KINDS.filter((kind) => answer[kind])
  if (first === undefined) return would ? "Nothing would change" : "Nothing was changed"
  const be = would ? "would be" : answer[first] === 1 ? "was" : "were"
  return [`${keys(answer[first])} ${be} ${first}`, ...rest.map((kind) => `${number(answer[kind])} ${kind}`)].join(", ")
}

/** What is left as it is, and why: a list of sentences. */
export function leftAlone({ unchanged, skipped, expired, outside }) {
  const told = []
  if (unchanged) told.push(`${keys(unchanged)} already ${unchanged === 1 ? "is" : "are"} as in the file.`)
  if (skipped) told.push(`${keys(skipped)} ${skipped === 1 ? "is" : "are"} there already, and kept as they are.`)
  if (expired) told.push(`${keys(expired)} of the file ${expired === 1 ? "has" : "have"} expired.`)
  if (outside) told.push(`${keys(outside)} of the file ${outside === 1 ? "begins" : "begin"} otherwise.`)
  return told
}

/** How far an import is, for a progress bar: {text, done, total}, `total` 0 while it cannot be told. */
export function progress(phase, done, total) {
  if (phase === "receiving") return { text: `Uploading: ${percent(done, total)}`, done, total }
  if (phase === "writing") return { text: `Writing: ${number(done)} of ${keys(total)}`, done, total }
  return { text: "Checking every line", done: 0, total: 0 }
}

/**
 * Undoes writes, the newest first. Resolves to {undone, refusal}: how many, and what stopped it, if anything did.
 * `call(verb, payload)` resolves to the answer or rejects; `told(done, total)` hears of each.
 */
export async function undoAll(revisions, call, told = () => {}) {
  let undone = 0
  for (const revision of [...revisions].reverse()) {
    try {
      // whoever has to ask again, because the answer got lost, undoes nothing twice
      await call("undo", { revision, op_id: `undo-import-${revision}` })
    } catch (refusal) {
      return { undone, refusal }
    }
    told(++undone, revisions.length)
  }
  return { undone, refusal: null }
}

/** Why there is no answer of the server's to an import, by the status that came instead; 0 when none came at all. */
export function withoutAnswer(status) {
  const again = "Import the file again when the server answers: what has been written is not written twice."
  if (status === 413)
    return "A proxy in front of this server refuses files of this size (413), before the server sees them. Whoever runs it has to raise the limit, which nginx calls client_max_body_size; until then, import the file in smaller parts."
  if (status >= 502 && status <= 504) return `A proxy in front of this server answered ${status}: it could not reach the server, or gave up waiting. ${again}`
  if (status > 0) return `Something in front of this server answered instead of it (${status}), so it is not known what was written. ${again}`
  return `The server gave no answer. ${again} If this happens with large files only, a proxy in front of it may refuse them (client_max_body_size in nginx).`
}

/** Bytes: "68 B", "2.1 MiB". */
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
