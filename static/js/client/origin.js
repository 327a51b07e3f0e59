// Detects that the server refuses this page's origin. Browsers hide that: a refused connection looks like a lost one.

import { Refusal } from "./outbox.js"

const WITHIN = 5_000

/**
 * Return the Refusal that names both origins and the setting, or null: the server has the page's origin, cannot be
 * reached, or allows the page's origin.
 * @param {string} base
 * @returns {Promise<Refusal | null>}
 */
export async function originRefused(base) {
  const here = globalThis.location?.origin
  if (!here || here === base) return null
  // Every origin may read the modules, but only those in RKV_ORIGINS the answers of the API, errors included. A lost
  // connection looks like a refusal, so the modules are requested before and after.
  const modules = () => reads(`${base}/rkv.js`, "HEAD")
  if (!(await modules()) || (await reads(`${base}/api/v1/me`, "GET")) !== false || !(await modules())) return null
  const message = `${here} may not connect to ${base}: add it to the setting RKV_ORIGINS of that server.`
  return new Refusal({ code: "forbidden", message, origin: here, server: base, setting: "RKV_ORIGINS" })
}

/**
 * Resolve to whether this page may read that URL; null if there is no answer in time.
 * @param {string} url
 * @param {"HEAD" | "GET"} method
 */
async function reads(url, method) {
  /** @type {RequestInit} */
  const request = { method, credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(WITHIN) }
  return fetch(url, request).then(
    () => true,
    ({ name }) => (name === "TimeoutError" ? null : false),
  )
}
