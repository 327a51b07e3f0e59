// Official Socket.IO clients: node socketio_clients.mjs URL COUNT TRANSPORTS CALLS. Prints the answers of each client.
import http from "node:http"
import { io } from "socket.io-client"

const [url, count, transports, calls] = process.argv.slice(2)
// few TCP connections for many sessions: requests of different workers follow each other on one connection
const agent = new http.Agent({ keepAlive: true, maxSockets: 8 + 2 * Number(count) })

async function run(n) {
  const socket = io(url, { transports: transports.split(","), forceNew: true, agent, reconnection: false })
  await new Promise((resolve, reject) => {
    socket.once("connect", resolve)
    socket.once("connect_error", reject)
  })
  const answers = []
  for (let call = 0; call < Number(calls); call++)
    answers.push(await socket.timeout(30_000).emitWithAck("echo", `${n}-${call}`))
  const transport = socket.io.engine.transport.name
  socket.disconnect()
  return { n, sid: answers[0].sid, transport, answers }
}

const results = await Promise.allSettled([...Array(Number(count)).keys()].map(run))
console.log(JSON.stringify(results.map((result) => result.value ?? { error: String(result.reason) })))
process.exit(0)
