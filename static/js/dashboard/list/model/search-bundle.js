// Search and sort in one lazily loaded bundle.

export { inOrder } from "./sort.js"
export { TextIndex } from "./text-index.js"
