// Lazy loading of modules.

/**
 * Return a function that calls `load()` once and returns its promise; after a failure the next call tries again.
 *
 * @template T
 * @param {() => Promise<T>} load
 * @returns {() => Promise<T>}
 */
export function once(load) {
  /** @type {Promise<T> | null} */
  let loading = null
  return () =>
    (loading ??= load().catch((error) => {
      loading = null
      throw error
    }))
}

/** Return a function that calls the method `name` of the object that `load()` resolves to, or `failed(error)`. */
export const call =
  (load, name, failed) =>
  (...what) =>
    load().then((loaded) => loaded[name](...what), failed)

/**
 * Return a function that starts `load()` on its first call and returns the module, or undefined until it is loaded.
 * `arrived()` is called when it is loaded, `failed(error)` when it cannot be.
 *
 * @template T
 * @param {() => Promise<T>} load
 * @param {() => void} arrived
 * @param {(error: Error) => void} failed
 * @returns {() => T | undefined}
 */
export function later(load, arrived, failed = () => {}) {
  /** @type {T | undefined} */
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
          // without a connection: the next call tries again
          asked = false
          failed(error)
        },
      )
    }
    return module
  }
}
