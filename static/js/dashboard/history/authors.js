// The author of a write, as seen from this tab. No DOM.

/** @import { Client } from "../../client/client.js" */

const SYSTEM = { expiry: "Expiry", import: "Import", admin: "An administrator" }

/**
 * Return {name, note}: "Firefox on Linux", and a note: "this tab", "this browser", "API"; or "".
 * @param {Client} kv
 */
export function authorOf(kv, { origin, revision }) {
  const ours = origin.session !== "" && origin.session === kv.session?.id
  if (SYSTEM[origin.via]) return { name: SYSTEM[origin.via], note: ours ? "this browser" : "" }
  if (kv.wrote(revision)) return { name: origin.label, note: "this tab" }
  if (origin.via === "http") return { name: origin.label, note: "API" }
  return { name: origin.label, note: ours ? "this browser" : "" }
}
