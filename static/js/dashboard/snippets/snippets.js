// Code snippets that read, write and watch one key, ready to run: plain text, independent of the page.

export const LANGUAGES = { curl: "curl", javascript: "JavaScript", python: "Python" }
export const TASKS = { get: "Read it", set: "Write it", watch: "Watch it" }

// a longer value would hide the surrounding line
const LONGEST_VALUE = 240

/**
 * Return {curl, javascript, python}, each {get, set, watch}, for this key at the server `origin`. Without a suitable
 * `value` an example is used.
 */
export function snippets({ origin, key, value }) {
  const example = value === undefined || JSON.stringify(value).length > LONGEST_VALUE ? "a new value" : value
  return {
    curl: curl(origin, key, example),
    javascript: javascript(origin, key, example),
    python: python(origin, key, example),
  }
}

/** @param {string} key */
function curl(origin, key, value) {
  const call = `curl -H "Authorization: Bearer $TOKEN"`
  return {
    get: `${call} \\\n  ${shell(`${origin}/api/v1/get?key=${inQuery(key)}`)}`,
    set: `${call} \\\n  -H "Content-Type: application/json" \\\n  -d ${shell(JSON.stringify({ key, value }))} \\\n  ${shell(`${origin}/api/v1/set`)}`,
    watch: `curl -N -H "Authorization: Bearer $TOKEN" \\\n  ${shell(`${origin}/api/v1/stream?prefix=${inQuery(key)}`)}`,
  }
}

/** @param {string} key */
function javascript(origin, key, value) {
  const name = JSON.stringify(key)
  const start = `import { connect } from ${JSON.stringify(`${origin}/rkv.js`)}\n\nconst kv = await connect()\n`
  return {
    get: `${start}console.log(kv.get(${name}))`,
    set: `${start}await kv.set(${name}, ${inJavaScript(value)})`,
    // in `on`, a star at the end matches every key with this prefix
    watch: key.endsWith("*")
      ? `${start}kv.on(${name}, ({ key, value }) => {\n  if (key === ${name}) console.log(value)\n})`
      : `${start}kv.on(${name}, ({ value }) => console.log(value))`,
  }
}

/** @param {string} key */
function python(origin, key, value) {
  const url = (verb) => inPython(`${origin}/api/v1/${verb}`)
  const start = (modules) =>
    `${modules.map((name) => `import ${name}\n`).join("")}\nimport requests\n\nkey = ${inPython(key)}\nheaders = {"Authorization": "Bearer " + os.environ["TOKEN"]}\n`
  return {
    get: `${start(["os"])}answer = requests.get(${url("get")}, params={"key": key}, headers=headers)\nanswer.raise_for_status()\nprint(answer.json()["entry"]["value"])`,
    set: `${start(["os"])}value = ${inPython(value)}\nanswer = requests.post(${url("set")}, json={"key": key, "value": value}, headers=headers)\nanswer.raise_for_status()\nprint(answer.json()["revision"])`,
    watch: `${start(["json", "os"])}stream = requests.get(${url("stream")}, params={"prefix": key}, headers=headers, stream=True)\nstream.raise_for_status()
for line in stream.iter_lines():
    if line.startswith(b"data: "):
        for write in json.loads(line[6:]).get("writes", []):
            for op in write["ops"]:
                if op["key"] == key:
                    print(op["op"], op.get("value"))`,
  }
}

/**
 * Quote a word for a POSIX shell: inside single quotes every character but the single quote is literal.
 * @param {string} text
 */
function shell(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

/**
 * Percent-encode, including characters that are special to the shell or confusing to a reader.
 * @param {string} text
 */
function inQuery(text) {
  return encodeURIComponent(text).replace(/[!'()*~]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
}

function inJavaScript(value) {
  return written(value, String, (name) => (name === "__proto__" ? '["__proto__"]' : JSON.stringify(name)))
}

const PYTHON_WORDS = { true: "True", false: "False", null: "None" }

function inPython(value) {
  return written(value, (word) => PYTHON_WORDS[word], JSON.stringify)
}

/** Write JSON with a language's own words for true, false and null, and its own syntax for member names. */
function written(value, word, name) {
  if (value === null || typeof value === "boolean") return word(value)
  if (Array.isArray(value)) return `[${value.map((item) => written(item, word, name)).join(", ")}]`
  if (typeof value !== "object") return JSON.stringify(value)
  const members = Object.entries(value).map(([key, item]) => `${name(key)}: ${written(item, word, name)}`)
  return members.length === 0 ? "{}" : `{ ${members.join(", ")} }`
}
