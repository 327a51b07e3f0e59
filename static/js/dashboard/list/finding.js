// Search and sort in one lazily loaded bundle.

export { inOrder } from "./order.js"
export { Texts } from "./search.js"
