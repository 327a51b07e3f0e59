// Properties that the views add to elements.

interface Element {
  /** The name of a row of the list: a key, or a folder (see tree.js). */
  rowId?: string
  /** The key of a row; null for a folder. */
  rowKey?: string | null
}
