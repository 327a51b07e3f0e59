// Search and sort in one lazily loaded bundle.

export { inOrder } from "./sort.js"
export { Texts } from "./text-index.js"
