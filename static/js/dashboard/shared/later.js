// What is not needed at first sight is loaded when it is needed.

/** Returns a function that gives the promise of what `load()` resolves to, which it calls once; after a failure the next call tries again. */
export function once(load) {
  let loading = null
  return () =>
    (loading ??= load().catch((error) => {
      loading = null
      throw error
    }))
}

/** Returns a function that calls the method `name` of what `load()` resolves to, or `failed(error)`. */
export const call =
  (load, name, failed) =>
  (...what) =>
    load().then((loaded) => loaded[name](...what), failed)

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
