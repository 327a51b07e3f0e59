// The kinds of changes in words, found by comparing each op with the previous one on the same key. No DOM.

import { same } from "../../client/json-values.js"

const COUNTED = ["created", "changed", "set again", "expiry changed", "restored", "deleted", "expired"]

/**
 * Return "created", "changed", "restored", "deleted" or "expired"; "set again" if the value is the same, "expiry
 * changed" if only the expiry differs. `before` is the previous op on that key, if known.
 */
export function kindOf(op, via, before) {
  if (op.op === "delete") return via === "expiry" ? "expired" : "deleted"
  if (op.version === 1) return "created"
  if (before?.op === "delete") return "restored"
  if (before && same(before.value, op.value))
    return (before.expires_at ?? null) === (op.expires_at ?? null) ? "set again" : "expiry changed"
  return "changed"
}

/**
 * Return the kinds of changes of each write, newest first: [{op, kind}] per write. Ops before the last write are
 * unknown.
 */
export function kindsOf(writes) {
  const before = new Map() // key → the previous op
  const kinds = []
  for (const write of writes.toReversed()) {
    kinds.push(write.ops.map((op) => ({ op, kind: kindOf(op, write.origin.via, before.get(op.key)) })))
    for (const op of write.ops) before.set(op.key, op)
  }
  return kinds.reverse()
}

/** Return "Deleted 12 keys", or "Created 3, changed 2 keys". */
export function summaryOf(kinds) {
  const counts = new Map()
  for (const { kind } of kinds) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  const parts = [...counts]
    .sort(([a], [b]) => COUNTED.indexOf(a) - COUNTED.indexOf(b))
    .map(([kind, count]) => `${kind} ${count.toLocaleString("en")}`)
  const text = `${parts.join(", ")} ${kinds.length === 1 ? "key" : "keys"}`
  return text[0].toUpperCase() + text.slice(1)
}

/**
 * Return the common folder of these keys, with its slash, or "".
 * @param {string[]} keys
 */
export function folderOf(keys) {
  let folder = keys[0].slice(0, keys[0].lastIndexOf("/") + 1)
  for (const key of keys)
    while (!key.startsWith(folder)) folder = folder.slice(0, folder.lastIndexOf("/", folder.length - 2) + 1)
  return folder
}

/** Whether an undo of this write can succeed: each key is still as it left it. `entryOf(key)` is the current entry. */
export function standsStill({ revision, ops }, entryOf) {
  return ops.every(({ op, key }) => (op === "delete" ? !entryOf(key) : entryOf(key)?.revision === revision))
}
