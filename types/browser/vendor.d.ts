// The browser libraries, which pages load from /static/js/vendor/ (realtime_kv/static_assets.py).

declare module "*/vendor/lit-html/lit-html.js" {
  export * from "lit-html"
}

declare module "*/vendor/lit-html/directives/live.js" {
  export * from "lit-html/directives/live.js"
}

declare module "*/vendor/lit-html/directives/repeat.js" {
  export * from "lit-html/directives/repeat.js"
}

declare module "*/vendor/socket.io.esm.min.js" {
  export * from "socket.io-client"
}
