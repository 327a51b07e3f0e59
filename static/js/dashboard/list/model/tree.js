// Folders: the slashes in keys, shown as a tree. Each row has a name: a key is its own name, a folder's is its prefix
// and a character that no key can contain. No DOM.

const FOLDER = "\u0000"

export const folderRow = (/** @type {string} */ folder) => folder + FOLDER

/** Return the prefix of a folder's row, or null for that of a key. */
export const folderOf = (/** @type {string} */ id) => (id.endsWith(FOLDER) ? id.slice(0, -1) : null)

/**
 * Return the folder that contains a key or folder: "a/" for "a/b" and "a/b/", "" at the top.
 * @param {string} path
 */
export function parentOf(path) {
  return path.length > 1 ? path.slice(0, path.lastIndexOf("/", path.length - 2) + 1) : ""
}

/**
 * Return the rows of a tree over `keys`, in their order; the keys of one folder must be adjacent.
 * `isOpen(folder, count)` returns whether to show its contents.
 * - Arrays by row number: `ids`, the row's name; `parents`, the row number of its folder (-1: none); `places`, its
 *   number within that folder.
 * - Maps by row number of a folder: `sizes`, the rows it shows; `counts`, its keys; `firsts`, the index of the first of
 *   them in `keys`.
 * @param {string[]} keys
 * @param {string} root
 * @param {(folder: string, count: number) => boolean} isOpen
 */
export function flatten(keys, root, isOpen) {
  /** @type {string[]} */
  const ids = []
  /** @type {number[]} */
  const parents = []
  /** @type {number[]} */
  const places = []
  const sizes = new Map([[-1, 0]])
  const counts = new Map()
  const firsts = new Map()
  const path = [{ folder: root, row: -1 }]
  const put = (/** @type {string} */ id) => {
    const { row } = path[path.length - 1]
    const at = (sizes.get(row) ?? 0) + 1
    sizes.set(row, at)
    parents.push(row)
    places.push(at)
    return ids.push(id) - 1
  }
  for (let i = 0; i < keys.length; ) {
    const key = keys[i]
    while (path.length > 1 && !key.startsWith(path[path.length - 1].folder)) path.pop()
    const slash = key.indexOf("/", path[path.length - 1].folder.length)
    if (slash < 0) {
      put(key)
      i += 1
      continue
    }
    const folder = key.slice(0, slash + 1)
    const count = endOf(keys, folder, i) - i
    const row = put(folderRow(folder))
    counts.set(row, count)
    firsts.set(row, i)
    sizes.set(row, 0)
    if (isOpen(folder, count)) path.push({ folder, row })
    else i += count
  }
  return { ids, parents, places, sizes, counts, firsts }
}

/**
 * Return the end of the run of keys that begin with `prefix`, which starts at index `from`.
 * @param {string[]} keys
 * @param {string} prefix
 * @param {number} from
 */
export function endOf(keys, prefix, from) {
  let low = from
  let step = 1
  while (low + step <= keys.length && keys[low + step - 1].startsWith(prefix)) {
    low += step
    step *= 2
  }
  let high = Math.min(keys.length, low + step - 1)
  while (low < high) {
    const middle = (low + high) >>> 1
    if (keys[middle].startsWith(prefix)) low = middle + 1
    else high = middle
  }
  return low
}
