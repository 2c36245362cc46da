import { connect, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { answerParent } from '../child.ts'
import { quantile } from '../measure.ts'

/*
 * Load: so many keep-alive connections, each with one request under way at a time. Raw sockets and a parser that reads
 * no more than it must, so that the client costs little of the machine that it shares with the server.
 */
export interface PostsRequest {
  port: number
  path: string
  headers: Record<string, string>
  body: string
  connections: number
  /** Not counted. */
  warmUpMs: number
  measureMs: number
  /** The only status that counts; another one ends the run with an error. */
  expectStatus: number
}

export interface PostsResult {
  /** Answers, warm-up included. */
  answers: number
  /** Answers a second in the measured time. */
  rate: number
  p50Ms: number
  p99Ms: number
  maxMs: number
}

const headEnd = Buffer.from('\r\n\r\n')
const lengthName = Buffer.from('\r\ncontent-length: ')

async function run(request: PostsRequest): Promise<PostsResult> {
  const bytes = encode(request)
  const startedAt = performance.now()
  const countFrom = startedAt + request.warmUpMs
  const stopAt = countFrom + request.measureMs
  const latencies: number[] = []
  let answers = 0

  async function drive(socket: Socket): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      let sentAt = 0
      let pending: Buffer | null = null
      const send = () => {
        sentAt = performance.now()
        socket.write(bytes)
      }
      socket.on('error', reject)
      socket.on('close', () => reject(new Error('The server closed a connection')))
      socket.on('data', (chunk) => {
        const received = pending === null ? chunk : Buffer.concat([pending, chunk])
        const length = lengthOf(received)
        if (length === null || received.length < length) {
          pending = received
          return
        }
        pending = null
        const now = performance.now()
        answers++
        if (Number(received.toString('latin1', 9, 12)) !== request.expectStatus) {
          reject(new Error(`Answered:\n${received.toString('utf8')}`))
          return
        }
        if (sentAt >= countFrom && now <= stopAt) latencies.push(now - sentAt)
        if (now < stopAt) send()
        else resolve()
      })
      send()
    })
  }

  const sockets = await Promise.all(Array.from({ length: request.connections }, () => open(request.port)))
  try {
    await Promise.all(sockets.map(drive))
  } finally {
    for (const socket of sockets) {
      socket.removeAllListeners('close')
      socket.destroy()
    }
  }
  return {
    answers,
    rate: (latencies.length * 1000) / request.measureMs,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    maxMs: quantile(latencies, 1)
  }
}

function encode({ port, path, headers, body }: PostsRequest): Buffer {
  const lines = [
    `POST ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`
  ]
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`)
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`)
}

/** Bytes of the whole answer; null while its head has not arrived. */
function lengthOf(received: Buffer): number | null {
  const end = received.indexOf(headEnd)
  if (end === -1) return null
  const at = received.indexOf(lengthName)
  if (at === -1 || at > end)
    throw new Error(`An answer without Content-Length:\n${received.toString('utf8')}`)
  const from = at + lengthName.length
  return end + headEnd.length + Number(received.toString('latin1', from, received.indexOf('\r', from)))
}

async function open(port: number): Promise<Socket> {
  return await new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => {
      socket.off('error', reject)
      resolve(socket)
    })
    socket.once('error', reject)
  })
}

answerParent(run)
