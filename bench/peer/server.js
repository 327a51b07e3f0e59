// The peer: an equivalent service in Node.js, with Socket.IO's own server, the SQLite that Node.js ships, and a group
// commit: all writes of one turn of the event loop are one transaction, as durable as ours (WAL, synchronous=FULL).
//
// It has the protocol of `tutorial_server.py`, and `batch {ops: [{op: "set", key, value}, …]}`. It has a revision for
// each key and nothing else: no sessions, no limits, no history, no receipts, no resume, and a push may get lost.
import { createServer } from "node:http"
import { DatabaseSync } from "node:sqlite"
import { join } from "node:path"
import { Server } from "socket.io"

const db = new DatabaseSync(join(process.env.DATA_DIR, "peer.db"))
db.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
const [{ journal_mode: journal }, { synchronous }] = ["journal_mode", "synchronous"].map((name) =>
  db.prepare(`PRAGMA ${name}`).get(),
)
if (journal !== "wal" || synchronous !== 2) throw new Error(`not durable: ${journal}, synchronous=${synchronous}`)
db.exec(`CREATE TABLE IF NOT EXISTS entry (
  user TEXT, key TEXT, value TEXT NOT NULL, revision INTEGER NOT NULL, PRIMARY KEY (user, key)) WITHOUT ROWID`)

const begin = db.prepare("BEGIN IMMEDIATE")
const commit = db.prepare("COMMIT")
const rollback = db.prepare("ROLLBACK")
const upsert = db.prepare(`INSERT INTO entry VALUES (?, ?, ?, 1)
  ON CONFLICT DO UPDATE SET value = excluded.value, revision = revision + 1 RETURNING revision`)
const select = db.prepare("SELECT value, revision FROM entry WHERE user = ? AND key = ?")

let waiting = []

function write(socket, ops, answer) {
  if (waiting.length === 0) setImmediate(writeAll)
  waiting.push({ socket, ops, answer })
}

function writeAll() {
  const writes = waiting
  waiting = []
  try {
    begin.run()
    for (const { socket, ops } of writes) {
      for (const op of ops) {
        op.revision = upsert.get(socket.data.user, op.key, JSON.stringify(op.value)).revision
      }
    }
    commit.run()
  } catch (error) {
    if (db.isTransaction) rollback.run()
    for (const { answer } of writes) answer({ ok: false, error: error.message })
    return
  }
  for (const { socket, ops, answer } of writes) {
    const pushes = ops.map(({ key, value, revision }) => ({ key, value, revision }))
    socket.to(socket.data.user).emit("update", pushes.length === 1 ? pushes[0] : pushes)
    answer(pushes.length === 1 ? { ok: true, revision: pushes[0].revision } : { ok: true })
  }
}

const http = createServer()
const io = new Server(http, {
  transports: ["websocket"],
  perMessageDeflate: false,
  httpCompression: false,
  serveClient: false,
})

io.use((socket, next) => {
  const { user } = socket.handshake.auth
  if (typeof user !== "string" || !user) return next(new Error("unauthenticated"))
  socket.data.user = user
  next()
})

io.on("connection", (socket) => {
  socket.join(socket.data.user)
  socket.on("set", ({ key, value }, answer) => write(socket, [{ key, value }], answer))
  socket.on("batch", ({ ops }, answer) => write(socket, ops, answer))
  socket.on("get", ({ key }, answer) => {
    const row = select.get(socket.data.user, key)
    answer(row ? { value: JSON.parse(row.value), revision: row.revision } : null)
  })
})

http.listen(Number(process.env.PORT), "127.0.0.1")
process.on("SIGTERM", () => process.exit())
