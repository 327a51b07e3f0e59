// The kinds of changes in words, found by comparing each op with the previous one on the same key. No DOM.

import { same } from "../../values.js"

const COUNTED = ["created", "changed", "set again", "expiry changed", "restored", "deleted", "expired"]

/**
 * Return "created", "changed", "restored", "deleted" or "expired"; "set again" if the value is the same, "expiry
 * changed" if only the expiry differs. `before` is the previous op on that key, if known.
 */
export function deedOf(op, via, before) {
  if (op.op === "delete") return via === "expiry" ? "expired" : "deleted"
  if (op.version === 1) return "created"
  if (before?.op === "delete") return "restored"
  if (before && same(before.value, op.value)) return (before.expires_at ?? null) === (op.expires_at ?? null) ? "set again" : "expiry changed"
  return "changed"
}

/**
 * Return the kinds of changes of each write, newest first: [{op, deed}] per write. Ops before the last write are
 * unknown.
 */
export function deedsOf(writes) {
  const before = new Map() // key → the previous op
  const deeds = []
  for (const write of writes.toReversed()) {
    deeds.push(write.ops.map((op) => ({ op, deed: deedOf(op, write.origin.via, before.get(op.key)) })))
    for (const op of write.ops) before.set(op.key, op)
  }
  return deeds.reverse()
}

/** Return "Deleted 12 keys", or "Created 3, changed 2 keys". */
export function summaryOf(deeds) {
  const counts = new Map()
  for (const { deed } of deeds) counts.set(deed, (counts.get(deed) ?? 0) + 1)
  const parts = [...counts].sort(([a], [b]) => COUNTED.indexOf(a) - COUNTED.indexOf(b)).map(([deed, count]) => `${deed} ${count.toLocaleString("en")}`)
  const text = `${parts.join(", ")} ${deeds.length === 1 ? "key" : "keys"}`
  return text[0].toUpperCase() + text.slice(1)
}

/** Return the common folder of these keys, with its slash, or "". */
export function folderOf(keys) {
  let folder = keys[0].slice(0, keys[0].lastIndexOf("/") + 1)
  for (const key of keys) while (!key.startsWith(folder)) folder = folder.slice(0, folder.lastIndexOf("/", folder.length - 2) + 1)
  return folder
}

/** Whether an undo of this write can succeed: each key is still as it left it. `entryOf(key)` is the current entry. */
export function standsStill({ revision, ops }, entryOf) {
  return ops.every(({ op, key }) => (op === "delete" ? !entryOf(key) : entryOf(key)?.revision === revision))
}
