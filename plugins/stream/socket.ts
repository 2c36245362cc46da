import type { WebSocket } from 'ws'
import type { HeartbeatFrame } from '../../src/schemas/frame.ts'
import { follow } from './follow.ts'
import type { Page, Pages } from './pages.ts'

/** RFC 6455 §7.4.1. */
export const closeCodes = { done: 1000, goingAway: 1001, badMessage: 1008, fault: 1011 } as const

/** Above this many bytes on their way a reader is asked to drain before its next page is read. */
const drainAbove = 64 * 1024

export interface Reader {
  jobId: string
  socket: WebSocket
  lastSeq: number
  /** Monotonic ms of the last frame sent and of the last sign of life. */
  sentAt: number
  heardAt: number
  abort: AbortController
}

/**
 * Sends the log over one socket until the job's last frame. One socket holds at most a page and {@link drainAbove}
 * bytes; frames of a page are shared between readers.
 */
export async function tail(pages: Pages, reader: Reader, from: number): Promise<void> {
  const { socket, jobId, abort } = reader
  socket.on('message', () => {
    socket.close(closeCodes.badMessage, 'this stream takes no messages')
    abort.abort()
  })
  socket.on('pong', () => (reader.heardAt = performance.now()))
  socket.on('close', () => abort.abort())
  socket.on('error', () => abort.abort())
  try {
    for await (const page of follow(pages, jobId, { from, signal: abort.signal })) {
      await send(socket, page, abort.signal)
      reader.lastSeq = page.to
      reader.sentAt = performance.now()
      if (page.ends) socket.close(closeCodes.done)
    }
    // `from` stood behind the last frame of a finished job.
  } catch (error) {
    socket.close(closeCodes.fault, 'the log could not be read; come back with from')
    throw error
  }
}

async function send(socket: WebSocket, page: Page, signal: AbortSignal): Promise<void> {
  const last = page.frames.length - 1
  for (let i = 0; i < last; i++) {
    if (signal.aborted) return
    socket.send(page.frames[i]!.bytes, { binary: false })
  }
  const drained = new Promise<void>((resolve) => {
    socket.send(page.frames[last]!.bytes, { binary: false }, () => resolve())
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
  if (socket.bufferedAmount > drainAbove) await drained
}

export function heartbeat(lastSeq: number): HeartbeatFrame {
  return { type: 'heartbeat', time: new Date().toISOString(), lastSeq }
}
