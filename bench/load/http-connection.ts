import { connect, type Socket } from 'node:net'

export interface RawAnswer {
  status: number
  /** As it came, headers and body; bodies sent in chunks keep their chunk sizes. */
  text: string
  /** Whether the server closes the connection after it. */
  closes: boolean
}

const headEnd = Buffer.from('\r\n\r\n')
const lastChunk = Buffer.from('\r\n0\r\n\r\n')

/**
 * One HTTP/1.1 connection with one request under way at a time, on a raw socket and a parser that reads no more than it
 * must: the load shares the machine with the server. Opens anew after the server closed it.
 */
export function createConnection(port: number) {
  let socket: Socket | null = null

  async function send(bytes: Buffer): Promise<RawAnswer> {
    socket ??= await open(port)
    const at = socket
    return await new Promise<RawAnswer>((resolve, reject) => {
      let received: Buffer = Buffer.alloc(0)
      const finish = (settle: () => void) => {
        at.removeAllListeners()
        at.on('error', () => {})
        settle()
      }
      const drop = () => {
        at.destroy()
        if (socket === at) socket = null
      }
      at.on('error', (error) =>
        finish(() => {
          drop()
          reject(error)
        })
      )
      at.on('close', () =>
        finish(() => {
          drop()
          // An answer without a length ends with the connection.
          const answer = received.length > 0 ? toAnswer(received) : null
          if (answer === null) reject(new Error('The server closed the connection without an answer'))
          else resolve({ ...answer, closes: true })
        })
      )
      at.on('data', (chunk) => {
        received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
        if (!isWhole(received)) return
        const answer = toAnswer(received)
        finish(() => {
          if (answer.closes) drop()
          resolve(answer)
        })
      })
      at.write(bytes)
    })
  }

  return {
    send,
    close(): void {
      socket?.destroy()
      socket = null
    }
  }
}

export type Connection = ReturnType<typeof createConnection>

function isWhole(received: Buffer): boolean {
  const end = received.indexOf(headEnd)
  if (end === -1) return false
  const head = received.toString('latin1', 0, end).toLowerCase()
  const status = Number(head.slice(9, 12))
  if (status === 204 || status === 304) return true
  const length = /\r\ncontent-length: (\d+)/.exec(head)?.[1]
  if (length !== undefined) return received.length >= end + headEnd.length + Number(length)
  if (head.includes('\r\ntransfer-encoding: chunked'))
    return received.subarray(-lastChunk.length).equals(lastChunk) || received.subarray(end).equals(emptyBody)
  return false
}

const emptyBody = Buffer.from('\r\n\r\n0\r\n\r\n')

function toAnswer(received: Buffer): RawAnswer {
  const text = received.toString('utf8')
  const head = text.slice(0, text.indexOf('\r\n\r\n')).toLowerCase()
  return { status: Number(text.slice(9, 12)), text, closes: head.includes('\r\nconnection: close') }
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
