// Whether this page is refused because of its origin. A browser hides that from the page: a refused connection looks like a lost one.

import { Refusal } from "./outbox.js"

const WITHIN = 5_000

/** The Refusal that names both origins and the setting, or null: the server is our own, cannot be reached, or lets this origin in. */
export async function originRefused(base) {
  const here = globalThis.location?.origin
  if (!here || here === base) return null
  // Every origin may read the modules, and only those in RKV_ORIGINS what the API answers, be it an error. A lost connection looks like
  // a refusal, so the modules are asked for before and after.
  const modules = () => reads(`${base}/rkv.js`, "HEAD")
  if (!(await modules()) || (await reads(`${base}/api/v1/me`, "GET")) !== false || !(await modules())) return null
  const message = `${here} may not connect to ${base}: add it to the setting RKV_ORIGINS of that server.`
  return new Refusal({ code: "forbidden", message, origin: here, server: base, setting: "RKV_ORIGINS" })
}

/** Whether this page may read what is there; null if nothing has come in time. */
async function reads(url, method) {
  const request = { method, credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(WITHIN) }
  return fetch(url, request).then(
    () => true,
    ({ name }) => (name === "TimeoutError" ? null : false),
  )
}
