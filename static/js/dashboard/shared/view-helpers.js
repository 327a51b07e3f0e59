// Small templates that several views share.

import { html, svg } from "../../vendor/lit-html/lit-html.js"
import { kindOf, previewOf } from "./texts.js"
import { age, moment } from "./time-format.js"

/** @import { Json } from "../../client/json-values.js" */

/**
 * Render a key, with its folders in a quieter colour.
 * @param {string} key
 */
export function keyText(key) {
  const cut = key.lastIndexOf("/") + 1
  if (cut === 0 || cut === key.length) return html`<bdi><span class="leaf">${key}</span></bdi>`
  return html`<bdi><span class="folder">${key.slice(0, cut)}</span><span class="leaf">${key.slice(cut)}</span></bdi>`
}

/**
 * Render a value on one line, in the colour of its kind.
 * @param {Json} value
 */
export function preview(value) {
  return html`<span class="json-${kindOf(value).split(" ")[0]}">${previewOf(value)}</span>`
}

/**
 * Return "1 key", "1,284 keys".
 * @type {(n: number, one: string, many: string) => string}
 */
export const count = (n, one, many) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`

/**
 * @param {number} now
 * @param {string} at
 */
export function time(at, now) {
  return html`<time datetime=${at} title=${moment(at)}>${age(at, now)}</time>`
}

/**
 * Render a sign, drawn on 16 by 16 pixels.
 * @param {unknown} shape
 */
export const icon = (shape) =>
  html`<svg class="sign" viewBox="0 0 16 16" width="14" height="14" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">${shape}</svg>`

export const signs = {
  otherTab: icon(
    svg`<path d="M5.5 10.5v-7a1 1 0 0 1 1-1h7a1 1 0 0 1 1 1v6a1 1 0 0 1-1 1z M5.5 5h-3a1 1 0 0 0-1 1v6.5a1 1 0 0 0 1 1h7a1 1 0 0 0 1-1v-2"/>`,
  ),
  unsent: icon(svg`<path d="M8 13.5v-9 M4.5 7.5 8 4l3.5 3.5 M3 1.5h10" />`),
  draft: icon(svg`<path d="m10.5 3 2.5 2.5-7.5 7.5-3 .5.5-3z"/>`),
  twisty: icon(svg`<path d="m6 4 4 4-4 4"/>`),
  more: icon(svg`<path d="M3 8h.01 M8 8h.01 M13 8h.01" stroke-width="2"/>`),
  pause: icon(svg`<path d="M5.5 3.5v9 M10.5 3.5v9"/>`),
  play: icon(svg`<path d="M5 3.5v9l7-4.5z"/>`),
}
