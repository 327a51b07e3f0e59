// What finds and orders keys, in one piece: loaded when something is first looked for.

export { inOrder } from "./order.js"
export { Texts } from "./search.js"
