import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { Unreachable } from './exit.ts'
import {
  answer,
  backoffMs,
  giveUpAfterMs,
  toApiError,
  toUnreachable,
  type Schemas,
  type Session
} from './session.ts'

export type LogFrame = Schemas['LogFrame']
export type StatusFrame = Schemas['StatusFrame']
export type LoggedFrame = StatusFrame | LogFrame | Schemas['ResultFrame'] | Schemas['ErrorFrame']
type Frame = LoggedFrame | Schemas['HeartbeatFrame']

export interface FollowOptions {
  /** First seq wanted, inclusive; default 1. */
  from?: number
  signal?: AbortSignal
  /** The connection broke and is tried again in `waitMs`. */
  onLost?: (error: Unreachable, waitMs: number) => void
  /** It stands again. */
  onBack?: () => void
}

const subprotocol = 'roost.stream.v1'
/** The service says something at least every 15 s; after this much silence it is gone, whatever TCP believes. */
const silenceMs = 45_000
/** Frames in hand above which the socket is paused: a slow reader of our output holds the service back. */
const pauseAbove = 64

/**
 * The frames of a job's log from `from` on, each once and without holes, until the job's last frame or the abort. Goes
 * on where it was when the connection breaks, also over a restart of the service. Ends without a last frame only where
 * the log holds none after `from`. Throws ApiError where the service refuses, {@link Unreachable} after 15 minutes.
 */
export async function* follow(
  session: Session,
  jobId: string,
  { from = 1, signal, onLost, onBack }: FollowOptions = {}
): AsyncGenerator<LoggedFrame> {
  let next = from
  let failures = 0
  let lostAt: number | null = null
  const isAborted = () => signal?.aborted === true
  for (;;) {
    const connected = receive(session, `/stream/${jobId}?from=${next}`, signal, () => {
      if (lostAt !== null) onBack?.()
    })
    let lost = new Unreachable('The stream had a hole')
    try {
      for await (const frame of connected) {
        // Only now: a service that opens and closes at once is no better than one that is away.
        lostAt = null
        failures = 0
        if (frame.type === 'heartbeat' || frame.seq < next) continue
        // A hole can only be the connection's doing: ask again from where the log was whole.
        if (frame.seq > next) break
        next = frame.seq + 1
        yield frame
        if (frame.type === 'result' || frame.type === 'error') return
      }
    } catch (error) {
      if (isAborted()) return
      if (!(error instanceof Unreachable)) throw error
      if (error instanceof ClosedInOrder && (await isOver(session, jobId, next))) return
      lost = error
    }
    if (isAborted()) return
    // The service is there, and the answer to the next attempt says why it refuses, such as a token that was revoked.
    if (lost instanceof ClosedAsRefused && failures++ === 0) continue
    lostAt ??= Date.now()
    if (Date.now() - lostAt > giveUpAfterMs) throw lost
    const waitMs = backoffMs(failures++)
    onLost?.(lost, waitMs)
    await sleep(waitMs, undefined, signal === undefined ? {} : { signal }).catch(() => {})
    if (isAborted()) return
    session.refresh()
  }
}

/** Closed with 1000 and without a last frame: by the service where nothing follows, or by a proxy's whim. */
class ClosedInOrder extends Unreachable {}

/** Closed with 1008: not a loss, but the service's wish. */
class ClosedAsRefused extends Unreachable {}

/** Whether the job's log ends before `next`: a close code alone is nobody's word for that. */
async function isOver(session: Session, jobId: string, next: number): Promise<boolean> {
  try {
    const job = await answer(session.client.GET('/v1/jobs/{id}', { params: { path: { id: jobId } } }))
    return job.finishedAt !== null && job.lastSeq < next
  } catch (error) {
    if (error instanceof Unreachable) return false
    throw error
  }
}

/** The frames of one connection. Throws when it ends: {@link Unreachable}, or ApiError where it was refused. */
async function* receive(
  session: Session,
  path: string,
  signal: AbortSignal | undefined,
  onOpen: () => void
): AsyncGenerator<Frame> {
  const { url, token } = session.connection
  const socket = new WebSocket(url.replace(/^http/, 'ws') + path, subprotocol, {
    headers: { authorization: `Bearer ${token}` },
    perMessageDeflate: false,
    handshakeTimeout: 10_000
  })
  const frames: string[] = []
  let ended = null as Error | null
  let wake: (() => void) | null = null
  let heardAt = Date.now()
  const end = (error: Error) => {
    ended ??= error
    wake?.()
  }
  const stop = () => {
    end(new Unreachable('Stopped'))
    socket.terminate()
  }
  socket.on('open', onOpen)
  socket.on('ping', () => (heardAt = Date.now()))
  socket.on('message', (message: Buffer) => {
    heardAt = Date.now()
    frames.push(message.toString('utf8'))
    if (frames.length > pauseAbove) socket.pause()
    wake?.()
  })
  socket.on('unexpected-response', (_request, response) => {
    const chunks: Buffer[] = []
    response.on('data', (chunk: Buffer) => chunks.push(chunk))
    response.on('error', (error) => end(toUnreachable(error)))
    response.on('end', () => {
      const refusal = toApiError(
        response.statusCode ?? 0,
        parse(Buffer.concat(chunks).toString('utf8')),
        response.headers['retry-after'] ?? null
      )
      end(refusal.isBusy || refusal.problem.status >= 500 ? new Unreachable(refusal.message) : refusal)
    })
  })
  socket.on('error', (error) => end(toUnreachable(error)))
  socket.on('close', (code) =>
    end(
      code === 1000
        ? new ClosedInOrder('The stream was closed')
        : new (code === 1008 ? ClosedAsRefused : Unreachable)(`The stream was closed (${code})`)
    )
  )
  const silence = setInterval(() => {
    if (!socket.isPaused && Date.now() - heardAt > silenceMs) socket.terminate()
  }, 5_000)
  // An abort that came before is not heard any more.
  if (signal?.aborted === true) stop()
  signal?.addEventListener('abort', stop, { once: true })
  try {
    for (;;) {
      const text = frames.shift()
      if (text !== undefined) {
        yield JSON.parse(text) as Frame
      } else if (ended !== null) {
        throw ended
      } else {
        if (socket.isPaused) {
          heardAt = Date.now()
          socket.resume()
        }
        await new Promise<void>((resolve) => (wake = resolve))
        wake = null
      }
    }
  } finally {
    clearInterval(silence)
    signal?.removeEventListener('abort', stop)
    socket.terminate()
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** The bytes that the job wrote. */
export const bytesOf = ({ text, encoding }: LogFrame): Buffer =>
  Buffer.from(text, encoding === 'base64' ? 'base64' : 'utf8')
