import { once } from 'node:events'
import { Readable, type Duplex } from 'node:stream'
import type { FastifyBaseLogger } from 'fastify'
import type { WebSocket } from 'ws'
import type { Tracing } from '../../src/contracts/observability.ts'
import type { Storage } from '../../src/contracts/storage.ts'
import { RoostError } from '../../src/errors.ts'
import type { Frame, LogFrame } from '../../src/schemas/frame.ts'
import type { Principal } from '../../src/schemas/token.ts'
import type { Admission } from './admission.ts'
import { follow } from './follow.ts'
import { createPages, type Page } from './pages.ts'
import { closeCodes, heartbeat, tail, type Reader } from './socket.ts'

export interface StreamOptions {
  storage: Storage
  log: FastifyBaseLogger
  admission: Admission
  /** A span for each WebSocket; those of plain HTTP have their request's. Default: none. */
  tracing?: Tracing | null
  /** A heartbeat after this much silence; a reader that answers no ping for twice as long is dropped. */
  heartbeatMs?: number
  pageFrames?: number
}

/** Where a reader wants to begin: `from` (a seq, inclusive), or the last `tail` log frames. */
export interface StreamStart {
  from?: number
  tail?: number
}

type ReaderKind = 'websocket' | 'sse' | 'text'

/** Where a reader over plain HTTP stands. */
interface Cursor {
  kind: 'sse' | 'text'
  jobId: string
  lastSeq: number
  readable: Readable | null
}

const mostLogsAsked = 100

/** Whose log, from which seq on, and for whom: the stream ends with the principal's token. */
export interface Served {
  jobId: string
  from: number
  principal: Principal
}

/** One WebSocket; `from` is one that `startOf` gave. */
interface SocketRequest extends Served {
  /** Nothing will follow: the job has ended, and the reader has its last frame. */
  finished: boolean
  /** The trace of who asked. */
  traceparent: string | null
}

/** A reader whose token is over has this long to take the close. */
const overGraceMs = 2_000

/** Serves job logs to many readers over WebSocket, SSE and as plain text. */
export function createStream({
  storage,
  log,
  admission,
  tracing = null,
  heartbeatMs = 15_000,
  pageFrames
}: StreamOptions) {
  const pages = createPages({ storage, ...(pageFrames === undefined ? {} : { pageFrames }) })
  const readers = new Set<Reader>()
  const eventStreams = new Map<AbortController, Cursor>()
  let closing = false

  const beat = setInterval(() => {
    const now = performance.now()
    for (const reader of readers) {
      const { socket } = reader
      if (now - reader.heardAt > 2 * heartbeatMs) {
        // It answered no ping: the machine at the other end is gone, whatever TCP believes.
        socket.terminate()
      } else if (now - reader.sentAt >= heartbeatMs && reader.connection.writableLength === 0) {
        socket.send(JSON.stringify(heartbeat(reader.lastSeq)))
        reader.sentAt = now
      }
      if (now - reader.heardAt > heartbeatMs / 2) socket.ping()
    }
  }, heartbeatMs / 5)
  beat.unref()

  /** The seq to begin with. Throws `invalid` where `from` is beyond lastSeq + 1, `job-not-found`. */
  async function startOf(jobId: string, start: StreamStart): Promise<{ from: number; lastSeq: number }> {
    const lastSeq = await storage.events.lastSeq(jobId)
    if (lastSeq === null) throw new RoostError('job-not-found', `No job has the id ${jobId}`)
    const from =
      start.from ?? (start.tail === undefined ? 1 : await storage.events.tailStart(jobId, start.tail))
    if (from > lastSeq + 1) {
      const message = `must be at most ${lastSeq + 1} (lastSeq + 1); got ${from}`
      throw new RoostError('invalid', `from ${message}`, {
        errors: [{ in: 'query', pointer: '/from', message }]
      })
    }
    return { from, lastSeq }
  }

  // With a reason of its own an abort costs nothing; without one each makes an exception with a stack.
  const over = 'the stream is over'

  // A generator that waits for a silent log is woken by its abort alone: destroying the Readable waits for it in turn.
  function openEventStream(cursor: Cursor, principal: Principal, gone: AbortSignal): AbortController {
    const abort = new AbortController()
    eventStreams.set(abort, cursor)
    const release = admission.hold(principal, () => abort.abort(over))
    abort.signal.addEventListener('abort', release, { once: true })
    gone.addEventListener('abort', () => abort.abort(over), { once: true })
    return abort
  }

  /** How far the slowest reader of each kind is behind: frames of the log, and bytes that wait in this process. */
  async function lag(): Promise<Record<ReaderKind, { frames: number; bytes: number }>> {
    const slowest = {
      websocket: { frames: 0, bytes: 0 },
      sse: { frames: 0, bytes: 0 },
      text: { frames: 0, bytes: 0 }
    }
    const ends = new Map<string, number>()
    const open = [
      ...[...readers].map(({ jobId, lastSeq, connection }) => ({
        kind: 'websocket' as const,
        jobId,
        lastSeq,
        bytes: connection.writableLength
      })),
      ...[...eventStreams.values()].map(({ kind, jobId, lastSeq, readable }) => ({
        kind,
        jobId,
        lastSeq,
        bytes: readable?.readableLength ?? 0
      }))
    ]
    for (const { kind, jobId, lastSeq, bytes } of open) {
      slowest[kind].bytes = Math.max(slowest[kind].bytes, bytes)
      // A scrape asks for so many logs at most; the others count with their bytes alone.
      if (!ends.has(jobId) && ends.size < mostLogsAsked)
        ends.set(jobId, (await storage.events.lastSeq(jobId)) ?? 0)
      slowest[kind].frames = Math.max(slowest[kind].frames, (ends.get(jobId) ?? 0) - lastSeq)
    }
    return slowest
  }

  return {
    startOf,
    /** Whether this principal may open one more stream. Throws `too-many-streams`, `overloaded`. */
    admit: admission.check,
    lag,
    /** Readers now, by kind. */
    counts(): Record<ReaderKind, number> {
      const streams = [...eventStreams.values()]
      const sse = streams.filter(({ kind }) => kind === 'sse').length
      return { websocket: readers.size, sse, text: streams.length - sse }
    },

    /** Serves one WebSocket until the job's last frame or the end of the token. */
    serve(
      socket: WebSocket,
      connection: Duplex,
      { jobId, from, finished, principal, traceparent }: SocketRequest
    ): void {
      if (closing) {
        socket.close(closeCodes.goingAway)
        return
      }
      const now = performance.now()
      const reader: Reader = {
        jobId,
        socket,
        connection,
        lastSeq: from - 1,
        sentAt: now,
        heardAt: now,
        abort: new AbortController()
      }
      readers.add(reader)
      const release = admission.hold(principal, (why) => {
        reader.abort.abort(over)
        socket.close(closeCodes.refused, why)
        // A slow reader has the close behind its backlog, which it may not read any more.
        setTimeout(() => socket.terminate(), overGraceMs).unref()
      })
      const span = tracing?.span('GET /stream/:id', {
        parent: traceparent,
        isServer: true,
        attributes: { 'http.route': '/stream/:id', 'roost.job.id': jobId }
      })
      socket.on('close', (code) => {
        readers.delete(reader)
        release()
        span?.set({ 'roost.frames': reader.lastSeq - from + 1, 'roost.close_code': code })
        span?.end()
      })
      if (finished) {
        socket.close(closeCodes.done)
        return
      }
      tail(pages, reader, from).catch((error: unknown) => log.error({ err: error, jobId }, 'a stream failed'))
    },

    /** The log as server-sent events; `from` is one that `startOf` gave, `gone` tells that the reader went away. */
    events({ jobId, from, principal }: Served, gone: AbortSignal): Readable {
      const cursor: Cursor = { kind: 'sse', jobId, lastSeq: from - 1, readable: null }
      const abort = openEventStream(cursor, principal, gone)
      async function* chunks() {
        const silence = { timer: null as NodeJS.Timeout | null }
        const source = follow(pages, jobId, { from, signal: abort.signal })
        try {
          yield ': roost\n\n'
          let next = source.next()
          for (;;) {
            const quiet = new Promise<'quiet'>((resolve) => {
              silence.timer = setTimeout(() => resolve('quiet'), heartbeatMs)
            })
            const step = await Promise.race([next, quiet])
            clearTimeout(silence.timer!)
            if (step === 'quiet') {
              yield `data: ${JSON.stringify(heartbeat(cursor.lastSeq))}\n\n`
              continue
            }
            if (step.done === true) return
            cursor.lastSeq = step.value.to
            yield step.value.eventStreamBytes()
            next = source.next()
          }
        } finally {
          clearTimeout(silence.timer!)
          abort.abort(over)
          eventStreams.delete(abort)
          await source.return(undefined)
        }
      }
      return (cursor.readable = Readable.from(chunks(), { objectMode: false, highWaterMark: 64 * 1024 }))
    },

    /** What the job printed, as plain bytes. */
    text(
      { jobId, principal, ...options }: Served & { follow: boolean; attempt?: number; skipBytes?: number },
      gone: AbortSignal
    ): Readable {
      const cursor: Cursor = { kind: 'text', jobId, lastSeq: options.from - 1, readable: null }
      const abort = openEventStream(cursor, principal, gone)
      let skip = options.skipBytes ?? 0
      async function* chunks() {
        try {
          for await (const page of follow(pages, jobId, {
            from: options.from,
            once: !options.follow,
            signal: abort.signal
          })) {
            cursor.lastSeq = page.to
            const text = Buffer.concat(printed(page, options.attempt))
            const shown = text.subarray(Math.min(skip, text.length))
            skip -= text.length - shown.length
            if (shown.length > 0) yield shown
          }
        } finally {
          abort.abort(over)
          eventStreams.delete(abort)
        }
      }
      return (cursor.readable = Readable.from(chunks(), { objectMode: false, highWaterMark: 64 * 1024 }))
    },

    /** Where the last `lines` lines begin: a frame, and the bytes of it to leave out. A line may span frames. */
    async lineStart(
      jobId: string,
      lines: number,
      attempt?: number
    ): Promise<{ from: number; skipBytes: number }> {
      for (let frames = Math.max(1, lines); ; frames *= 2) {
        const from = await storage.events.tailStart(jobId, frames)
        const ends = await lineEnds(jobId, from, attempt)
        if (ends.length > lines) return { from, skipBytes: ends.at(-1 - lines)! }
        if (from <= (await storage.events.tailStart(jobId, Number.MAX_SAFE_INTEGER)))
          return { from, skipBytes: 0 }
      }
    },

    /** Says 1001 to every reader; those that do not answer are cut after `graceMs`. */
    async close(graceMs: number): Promise<void> {
      closing = true
      clearInterval(beat)
      for (const abort of eventStreams.keys()) abort.abort()
      const open = [...readers]
      for (const { socket, abort } of open) {
        abort.abort()
        socket.close(closeCodes.goingAway, 'the service is stopping; come back with from')
      }
      if (open.length > 0) {
        let timer: NodeJS.Timeout | undefined
        await Promise.race([
          Promise.all(
            open
              .filter(({ socket }) => socket.readyState !== socket.CLOSED)
              .map(({ socket }) => once(socket, 'close'))
          ),
          new Promise((resolve) => (timer = setTimeout(resolve, graceMs)))
        ])
        clearTimeout(timer)
        for (const { socket } of open) socket.terminate()
      }
      pages.close()
    }
  }

  /** Where lines end in the text from `from` on: offsets behind each newline, and behind a last line without one. */
  async function lineEnds(jobId: string, from: number, attempt: number | undefined): Promise<number[]> {
    const ends: number[] = []
    let total = 0
    for await (const page of follow(pages, jobId, {
      from,
      once: true,
      signal: new AbortController().signal
    })) {
      for (const text of printed(page, attempt)) {
        for (let at = text.indexOf(10); at !== -1; at = text.indexOf(10, at + 1)) ends.push(total + at + 1)
        total += text.length
      }
    }
    if (total > 0 && ends.at(-1) !== total) ends.push(total)
    return ends
  }
}

/** What the job printed within a page, each log frame's bytes. */
function printed(page: Page, attempt: number | undefined): Buffer[] {
  return page.frames
    .map((json) => JSON.parse(json) as Frame)
    .filter((frame) => frame.type === 'log')
    .filter((frame) => attempt === undefined || frame.attempt === attempt)
    .map(textOf)
}

function textOf(frame: LogFrame): Buffer {
  if (frame.truncated !== undefined)
    return Buffer.from(
      `[roost: ${frame.truncated} bytes of ${frame.stream} were dropped here, the log cap is reached]\n`
    )
  return Buffer.from(frame.text, frame.encoding === 'base64' ? 'base64' : 'utf8')
}

export type Stream = ReturnType<typeof createStream>
