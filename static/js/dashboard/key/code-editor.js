// <code-editor>: CodeMirror in a shadow root, where its styles need no exception from the content security policy. The
// page uses it like a field: `value`, `focus()`, and an event `typed` when the user changes the value. Tab leaves it,
// as it leaves any field.

import { defaultKeymap, history, historyKeymap } from "@codemirror/commands"
import { json } from "@codemirror/lang-json"
import { bracketMatching, HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language"
import { Annotation, Compartment, EditorState, RangeSet, StateEffect, StateField } from "@codemirror/state"
import {
  Decoration,
  EditorView,
  GutterMarker,
  gutterLineClass,
  keymap,
  lineNumbers,
  placeholder,
} from "@codemirror/view"
import { tags } from "@lezer/highlight"

const COLOURS = HighlightStyle.define([
  { tag: tags.propertyName, color: "var(--json-key)" },
  { tag: tags.string, color: "var(--json-text)" },
  { tag: tags.number, color: "var(--json-number)" },
  { tag: [tags.bool, tags.null], color: "var(--json-word)" },
])

const LOOK = EditorView.theme({
  "&": { color: "var(--text)", backgroundColor: "transparent", maxHeight: "60dvh" },
  "&.cm-focused": { outline: "none" }, // the box around it shows the focus
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.65", overflow: "auto" },
  ".cm-content": { padding: "12px 0", caretColor: "var(--text)" },
  ".cm-content, .cm-gutter": { minHeight: "12.5em" },
  ".cm-line": { padding: "0 14px" },
  ".cm-gutters": { backgroundColor: "var(--surface-2)", color: "var(--text-3)", border: "none" },
  ".cm-lineNumbers .cm-gutterElement": { padding: "0 10px", minWidth: "calc(2ch + 20px)", boxSizing: "border-box" },
  ".cm-gutterElement.wrong-line": {
    backgroundColor: "var(--danger-soft)",
    color: "var(--danger)",
    fontWeight: "600",
    boxShadow: "inset 3px 0 0 var(--danger)",
  },
  ".wrong-place": { textDecoration: "underline wavy var(--danger)", textUnderlineOffset: "4px" },
  "&.cm-focused .cm-matchingBracket": {
    backgroundColor: "var(--accent-soft)",
    outline: "1px solid var(--line-strong)",
  },
  "&.cm-focused .cm-nonmatchingBracket": { backgroundColor: "var(--danger-soft)" },
  ".cm-placeholder": { color: "var(--text-3)" },
})

// Without Ctrl+Enter, which saves.
const KEYS = [...defaultKeymap.filter(({ key }) => key !== "Mod-Enter"), ...historyKeymap]

// The browser would handle typing over a selection itself, and keep the styles of the removed text as inline styles.
const typedOver = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { empty } = view.state.selection.main
    if (
      event.inputType !== "insertText" ||
      event.data === null ||
      view.composing ||
      (empty && !event.data.includes("\n"))
    )
      return false
    view.dispatch(view.state.replaceSelection(event.data), { userEvent: "input.type", scrollIntoView: true })
    return true
  },
})

/**
 * @import { StateEffectType } from "@codemirror/state"
 */
/** @typedef {{ line?: any, at: number | null, end?: any }} Place */

/** @type {Place} */
const NO_PLACE = { at: null }
const fromOutside = Annotation.define()
/** @type {StateEffectType<Place>} */
const setProblem = StateEffect.define()
const wrongLine = new (class extends GutterMarker {
  elementClass = "wrong-line"
})()

const problemField = StateField.define({
  create: () => NO_PLACE,
  // A position does not apply to a changed text: the next draw sets it again.
  update: (place, { docChanged, effects }) =>
    effects.find((effect) => effect.is(setProblem))?.value ?? (docChanged ? NO_PLACE : place),
  provide: (field) => [
    gutterLineClass.from(field, (found) =>
      found.at === null ? RangeSet.empty : RangeSet.of([wrongLine.range(found.line)]),
    ),
    EditorView.decorations.from(field, (found) =>
      found.at === null || found.at >= found.end
        ? Decoration.none
        : Decoration.set([Decoration.mark({ class: "wrong-place" }).range(found.at, found.at + 1)]),
    ),
  ],
})

/** @import { Problem } from "./model/draft.js" */

class CodeEditor extends HTMLElement {
  /** @type {EditorView | null} */
  #view = null
  #value = ""
  #label = ""
  #mode = "json"
  /** @type {Problem | null} */
  #problem = null
  #language = new Compartment()

  /** {start, end, focus}: the initial selection, and whether the editor takes the focus. */
  handover = { start: 0, end: 0, focus: false }
  placeholder = ""

  connectedCallback() {
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" })
    const most = this.#value.length
    const { start, end, focus } = this.handover
    const state = EditorState.create({
      doc: this.#value,
      selection: { anchor: Math.min(start, most), head: Math.min(end, most) },
      extensions: this.#extensions(),
    })
    this.#view = new EditorView({ state, root, parent: root })
    this.#describe()
    this.#showProblem()
    if (focus) this.focus()
  }

  disconnectedCallback() {
    this.#view?.destroy()
    this.#view = null
  }

  focus() {
    this.#view?.focus()
    this.#view?.dispatch({ scrollIntoView: true })
  }

  get value() {
    return this.#view ? this.#view.state.doc.toString() : this.#value
  }

  /** @param {string} text */
  set value(text) {
    this.#value = text
    const { value } = this
    if (text === value) return
    // Only the differing part is replaced: the cursor keeps its place, and the change can be undone.
    let from = 0
    while (from < text.length && from < value.length && text[from] === value[from]) from += 1
    let tail = 0
    while (tail < text.length - from && tail < value.length - from && text.at(-1 - tail) === value.at(-1 - tail))
      tail += 1
    this.#view?.dispatch({
      changes: { from, to: value.length - tail, insert: text.slice(from, text.length - tail) },
      annotations: fromOutside.of(true),
    })
    this.#showProblem()
  }

  set label(label) {
    this.#label = label
    this.#showProblem()
  }

  set mode(mode) {
    this.#mode = mode
    this.#view?.dispatch({ effects: this.#language.reconfigure(this.#languageOf(mode)) })
  }

  /** {line, column, message}, or null. */
  set problem(problem) {
    this.#problem = problem
    this.#showProblem()
  }

  #extensions() {
    return [
      lineNumbers(),
      history(),
      indentOnInput(),
      bracketMatching(),
      indentUnit.of("  "),
      EditorState.tabSize.of(2),
      EditorView.lineWrapping,
      placeholder(this.placeholder),
      syntaxHighlighting(COLOURS),
      LOOK,
      problemField,
      typedOver,
      this.#language.of(this.#languageOf(this.#mode)),
      keymap.of(KEYS),
      EditorView.contentAttributes.of(() => ({
        "aria-label": this.#label,
        "aria-invalid": String(this.#problem !== null),
        spellcheck: "false",
        autocapitalize: "off",
      })),
      EditorView.updateListener.of(({ docChanged, transactions }) => {
        if (docChanged && !transactions.some((transaction) => transaction.annotation(fromOutside)))
          this.dispatchEvent(new Event("typed"))
      }),
    ]
  }

  #languageOf(mode) {
    return mode === "json" ? json() : []
  }

  #showProblem() {
    if (!this.#view) return
    this.#view.dispatch({ effects: setProblem.of(placeOf(this.#problem, this.#view.state.doc)) })
  }

  /** Associate the note below the field, which is outside of the shadow root. */
  #describe() {
    const note = /** @type {Document} */ (this.getRootNode()).getElementById("editor-note")
    if (note && this.#view) this.#view.contentDOM.ariaDescribedByElements = [note]
  }
}

/**
 * Return {line, at, end}: the start of the problem's line, its position, the end; columns count characters, not units.
 */
function placeOf(problem, doc) {
  if (!problem || problem.line > doc.lines) return NO_PLACE
  const line = doc.line(problem.line)
  const at = line.from + [...line.text].slice(0, problem.column - 1).join("").length
  return { line: line.from, at, end: line.to }
}

customElements.define("code-editor", CodeEditor)
