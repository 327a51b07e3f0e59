// Convert between addresses and routes; no DOM. Deep links are stable: every view has an address, and an address leaves
// out default values.

export const PAGES = ["keys", "activity", "trash"]
export const TABS = ["value", "history", "use"]
export const WHO = ["all", "tab", "device", "others", "api", "system"]
export const SORTS = ["key", "-key", "updated", "-updated"]

/**
 * What an address shows. `view` null: the view from the user's settings.
 * @typedef {{
 *   page: string, key: string | null, tab: string, from: number | null, to: number | null, prefix: string, q: string,
 *   sort: string, view: string | null, who: string, away: string | null
 * }} Route
 */

/**
 * The route of an address without parameters.
 * @type {Route}
 */
export const NOTHING = {
  page: "keys",
  key: null,
  tab: "value",
  from: null,
  to: null,
  prefix: "",
  q: "",
  sort: "key",
  view: null,
  who: "all",
  away: null,
}

// The parameters in the address of each page.
/** @type {Record<string, (keyof Route)[]>} */
const NAMES = {
  keys: ["prefix", "q", "sort", "view", "key", "tab", "from", "to"],
  activity: ["prefix", "q", "who", "away"],
  trash: ["q"],
}

/**
 * Parse an address: {page, key, tab, from, to, prefix, q, sort, view, who, away}. Invalid parameters are ignored.
 * @param {string} address
 * @returns {Route}
 */
export function read(address) {
  const { pathname, searchParams } = new URL(address)
  const page = pathname.slice(1)
  const one = (/** @type {string} */ name, /** @type {string[]} */ known, /** @type {any} */ otherwise) =>
    known.includes(searchParams.get(name) ?? "") ? searchParams.get(name) : otherwise
  return {
    page: PAGES.includes(page) ? page : "keys",
    key: searchParams.get("key"),
    tab: one("tab", TABS, NOTHING.tab),
    from: revision(searchParams.get("from")),
    to: revision(searchParams.get("to")),
    prefix: searchParams.get("prefix") ?? "",
    q: searchParams.get("q") ?? "",
    sort: one("sort", SORTS, NOTHING.sort),
    view: one("view", ["tree", "list"], null),
    // addresses of earlier versions have `house`
    who: searchParams.get("who") === "house" ? "system" : one("who", WHO, NOTHING.who),
    away: one("away", ["1"], null),
  }
}

/**
 * Return the path and query of a route.
 * @param {Route} route
 */
export function write(route) {
  const query = new URLSearchParams()
  for (const name of NAMES[route.page ?? "keys"])
    if (route[name] !== undefined && route[name] !== NOTHING[name]) query.set(name, String(route[name]))
  const text = query.toString()
  return `/${route.page ?? "keys"}${text && "?"}${text}`
}

/** @param {string | null} text */
function revision(text) {
  return /^\d{1,15}$/.test(text ?? "") ? Number(text) : null
}
