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

/**
 * Return a function that calls the method `name` of the object that `load()` resolves to, or `failed(error)`.
 * @type {(load: () => Promise<any>, name: string, failed: (error: Error) => void) => (...what: any[]) => Promise<any>}
 */
export const call =
  (load, name, failed) =>
  (...what) =>
    load().then((loaded) => loaded[name](...what), failed)

/**
 * Give `stub` methods of these names, which call those of the object that `stub.load()` resolves to. If it cannot be
 * loaded, the user is told so with `text`.
 *
 * @param {{ load(): Promise<any>, [name: string]: any }} stub
 * @param {string[]} names
 * @param {{ failedToLoad(error: Error): void, toast(text: string): void }} page
 * @param {string} text
 */
export function standIn(stub, names, page, text) {
  const failed = (/** @type {Error} */ error) => {
    page.failedToLoad(error)
    page.toast(`${text} could not be loaded. Try again when the connection is back.`)
  }
  for (const name of names) stub[name] = call(stub.load, name, failed)
}

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
