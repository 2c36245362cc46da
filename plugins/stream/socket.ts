import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { HeartbeatFrame } from '../../src/schemas/frame.ts'
import { follow } from './follow.ts'
import type { Pages } from './pages.ts'

/** RFC 6455 §7.4.1. */
export const closeCodes = { done: 1000, goingAway: 1001, refused: 1008, fault: 1011 } as const

/** Above this many bytes on their way a reader is asked to drain before its next page is read. */
const drainAbove = 64 * 1024

export interface Reader {
  jobId: string
  socket: WebSocket
  /** The connection under the WebSocket: pages are written to it as whole messages. */
  connection: Duplex
  lastSeq: number
  /** Monotonic ms of the last frame sent and of the last sign of life. */
  sentAt: number
  heardAt: number
  abort: AbortController
}

/**
 * Sends the log over one socket until the job's last frame. One socket holds at most a page and {@link drainAbove}
 * bytes, and the bytes of a page are shared between readers.
 */
export async function tail(pages: Pages, reader: Reader, from: number): Promise<void> {
  const { socket, connection, jobId, abort } = reader
  socket.on('message', () => {
    socket.close(closeCodes.refused, 'this stream takes no messages')
    abort.abort()
  })
  const alive = () => (reader.heardAt = performance.now())
  socket.on('pong', alive)
  // A slow reader has its pings behind its backlog: that it takes bytes is the sign of life.
  connection.on('drain', alive)
  socket.on('close', () => abort.abort())
  socket.on('error', () => abort.abort())
  try {
    for await (const page of follow(pages, jobId, { from, signal: abort.signal })) {
      connection.write(page.webSocketBytes())
      reader.lastSeq = page.to
      reader.sentAt = performance.now()
      if (page.ends) socket.close(closeCodes.done)
      else if (connection.writableLength > drainAbove) await drained(connection, abort.signal)
    }
  } catch (error) {
    if (abort.signal.aborted) return
    socket.close(closeCodes.fault, 'the log could not be read; come back with from')
    throw error
  }
}

/** Resolves when everything written is with the kernel; rejects with an AbortError when the reader is gone. */
async function drained(connection: Duplex, signal: AbortSignal): Promise<void> {
  if (connection.writableNeedDrain) await once(connection, 'drain', { signal })
}

export function heartbeat(lastSeq: number): HeartbeatFrame {
  return { type: 'heartbeat', time: new Date().toISOString(), lastSeq }
}
