// What is not needed at first sight is loaded when it is first looked at.

/** Returns a function that gives the module that `load()` imports, or undefined until it is there; then `arrived()` is called, or `failed(error)`. */
export function later(load, arrived, failed = () => {}) {
  let module
  let asked = false
  return () => {
    if (!asked) {
      asked = true
      load().then(
        (loaded) => {
          module = loaded
          arrived()
        },
        (error) => {
          // without a connection: the next look asks again
          asked = false
          failed(error)
        },
      )
    }
    return module
  }
}
