// The address of what is shown, taken apart and put together; no DOM. Deep links are a promise: whatever can be looked at
// has an address, and what is as it always is does not stand in it.

export const PAGES = ["keys", "activity", "trash"]
export const TABS = ["value", "history", "use"]
export const WHO = ["all", "tab", "device", "others", "api", "house"]
export const SORTS = ["key", "-key", "updated", "-updated"]

/** What an address that says nothing shows. `view` is null for "as one likes it". */
export const NOTHING = { page: "keys", key: null, tab: "value", from: null, to: null, prefix: "", q: "", sort: "key", view: null, who: "all", away: null }

// What stands in the address of each page.
const NAMES = {
  keys: ["prefix", "q", "sort", "view", "key", "tab", "from", "to"],
  activity: ["prefix", "q", "who", "away"],
  trash: ["q"],
}

/** The route of an address: {page, key, tab, from, to, prefix, q, sort, view, who, away}; what makes no sense is left out. */
export function read(address) {
  const { pathname, searchParams } = new URL(address)
  const page = pathname.slice(1)
  const one = (name, known, otherwise) => (known.includes(searchParams.get(name)) ? searchParams.get(name) : otherwise)
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
    who: one("who", WHO, NOTHING.who),
    away: one("away", ["1"], null),
  }
}

/** The path and query of a route. */
export function write(route) {
  const query = new URLSearchParams()
  for (const name of NAMES[route.page ?? "keys"])
    if (route[name] !== undefined && route[name] !== NOTHING[name]) query.set(name, route[name])
  const text = query.toString()
  return `/${route.page ?? "keys"}${text && "?"}${text}`
}

function revision(text) {
  return /^\d{1,15}$/.test(text ?? "") ? Number(text) : null
}
