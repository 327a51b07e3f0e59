// The globals of static/js/service-worker.js. VERSION and FILES: see `worker` in realtime_kv/static_assets.py.

declare const VERSION: string
declare const FILES: string[]

declare const clients: Clients
declare const registration: ServiceWorkerRegistration
declare function skipWaiting(): Promise<void>
declare function addEventListener(type: "install" | "activate", listener: (event: ExtendableEvent) => void): void
declare function addEventListener(type: "message", listener: (event: ExtendableMessageEvent) => void): void
declare function addEventListener(type: "fetch", listener: (event: FetchEvent) => void): void
