import { closeSync, existsSync, openSync, readSync } from 'node:fs'
import type { Clock } from '../../../src/contracts/clock.ts'
import type { Observation, Report } from '../../../src/contracts/runtime.ts'
import { messageOf, sizeOf, streams, type Stream } from './attempt-files.ts'
import { chunkBytes, cut, type Eagerness } from './chunk.ts'
import { formatCursor, type Cursor } from './cursor.ts'

const batchMs = 50
/** A character that stays unfinished so long is told as the bytes it is. */
const patienceMs = 1000
const retryMs = 500
/** Reads are synchronous, so one buffer serves all attempts. */
const scratch = Buffer.allocUnsafeSlow(chunkBytes)

/** What an attempt has to say besides its output. */
type Body<T> = T extends unknown ? Omit<T, 'name' | 'jobId' | 'attempt' | 'at'> : never
/** `at` where it was at another time than it is told. */
export type Word = Body<Observation> & { at?: number }

export interface TailOptions {
  identity: { name: string; jobId: string; attempt: number }
  /** Path of the output files without `.stdout` and `.stderr`. */
  output: string
  cursor: Cursor
  capBytes: number
  report: Report
  clock: Clock
  warn: (message: string) => void
  /** All output and the last word are committed. */
  onDone: () => void
}

/** Reports one attempt in order: started, output as it comes, what was dropped, and the last word. */
export interface Tail {
  /** Something may have changed. */
  wake(): void
  started(pod: string): void
  /** Now the output is complete: report what is left of `from`, then `word`. `dropped` counts what never reached the files. */
  finish(word: Word, from: readonly Stream[], dropped: Partial<Record<Stream, number>>): void
  stop(): void
}

export function createTail({
  identity,
  output,
  cursor,
  capBytes,
  report,
  clock,
  warn,
  onDone
}: TailOptions): Tail {
  const fds: Partial<Record<Stream, number>> = {}
  let isRunning = false
  let isDirty = false
  let isStopped = false
  let begun: Word | null = null
  let ending: { word: Word; from: readonly Stream[]; dropped: Partial<Record<Stream, number>> } | null = null
  let hasReported = cursor.stdout + cursor.stderr > 0
  let batchedUntil = 0
  let timer: { cancel(): void } | null = null
  /** Since when the bytes behind the cursor have been waiting. */
  const waiting: Record<Stream, { size: number; since: number }> = {
    stdout: { size: 0, since: 0 },
    stderr: { size: 0, since: 0 }
  }

  function wake(): void {
    isDirty = true
    if (isRunning || isStopped || timer !== null) return
    const wait = ending === null ? batchedUntil - clock.now() : 0
    if (wait > 0) look(wait)
    else void tryPump()
  }

  /** What cannot be read now (no descriptor is free) is read later. */
  async function tryPump(): Promise<void> {
    try {
      await pump()
    } catch (error) {
      warn(`output of ${identity.name} cannot be read now: ${messageOf(error)}`)
      isRunning = false
      isDirty = true
      if (!isStopped) look(retryMs)
    }
  }

  function look(inMs: number): void {
    timer?.cancel()
    timer = clock.setTimeout(() => {
      timer = null
      wake()
    }, inMs)
  }

  async function pump(): Promise<void> {
    isRunning = true
    while (isDirty && !isStopped) {
      isDirty = false
      if (begun !== null) {
        await say(begun)
        begun = null
      }
      const ended = ending
      let more = false
      for (const stream of ended?.from ?? streams) {
        more = (await readOnce(stream, ended !== null)) || more
        if (isStopped) break
      }
      if (isStopped) break
      if (ended !== null && !more) {
        for (const stream of ended.from) await tellDropped(stream, ended.dropped[stream] ?? 0)
        await say(ended.word)
        if (isStopped) break
        stop()
        onDone()
        break
      }
      if (more) isDirty = true
      // A full chunk is followed at once; small ones are gathered.
      if (ending === null && isDirty && batchedUntil > clock.now()) break
    }
    isRunning = false
    if (isDirty && !isStopped) wake()
  }

  /** Reports one chunk of the stream. True where more is there already. */
  async function readOnce(stream: Stream, isEnd: boolean): Promise<boolean> {
    const at = cursor[stream]
    const limit = Math.min(chunkBytes, capBytes - at)
    if (limit <= 0) {
      if (!isEnd) await tellDropped(stream, 0)
      return false
    }
    const fd = openFile(stream)
    if (fd === null) return false
    const length = readSync(fd, scratch, 0, limit, at)
    if (length === 0) return false
    const isFull = length === limit
    const bytes = scratch.subarray(0, length)
    let take = cut(bytes, isFull ? 'full' : isEnd ? 'end' : 'fresh')
    if (take === 0) take = cut(bytes, patience(stream, at + length))
    if (take === 0) {
      look(batchMs)
      return false
    }
    cursor[stream] = at + take
    await say({
      type: 'output',
      stream,
      bytes: Uint8Array.prototype.slice.call(bytes, 0, take),
      cursor: formatCursor(cursor)
    })
    hasReported = true
    if (!isFull) batchedUntil = clock.now() + batchMs
    if (take < length && !isFull && !isEnd) look(batchMs)
    return isFull || (isEnd && take < length)
  }

  /** For bytes without the end of a line: the first at once, later ones after a batch's time without news. */
  function patience(stream: Stream, size: number): Eagerness {
    const now = clock.now()
    if (waiting[stream].size !== size) waiting[stream] = { size, since: now }
    const waitedMs = now - waiting[stream].since
    if (waitedMs >= patienceMs) return 'end'
    return waitedMs >= batchMs || !hasReported ? 'waited' : 'fresh'
  }

  async function tellDropped(stream: Stream, unwritten: number): Promise<void> {
    const dropped = Math.max(0, sizeOf(`${output}.${stream}`) - capBytes) + unwritten
    const news = dropped - cursor.dropped[stream]
    if (news <= 0) return
    cursor.dropped[stream] = dropped
    await say({ type: 'truncated', stream, bytes: news, cursor: formatCursor(cursor) })
    batchedUntil = clock.now() + batchMs
  }

  /** Reports until it is committed; the cursor in memory counts only what goes on to be committed. */
  async function say(word: Word): Promise<void> {
    for (let delayMs = 50; !isStopped; delayMs = Math.min(delayMs * 2, 5000)) {
      try {
        await report({ ...identity, at: clock.now(), ...word })
        return
      } catch {
        // The storage says in /health and in its own log why; here it is only asked again.
        await new Promise<void>((resolve) => {
          clock.setTimeout(resolve, delayMs)
        })
      }
    }
  }

  function openFile(stream: Stream): number | null {
    const known = fds[stream]
    if (known !== undefined) return known
    // A silent job has no file yet, and a thrown ENOENT costs more than the question.
    if (!existsSync(`${output}.${stream}`)) return null
    return (fds[stream] = openSync(`${output}.${stream}`, 'r'))
  }

  function stop(): void {
    isStopped = true
    timer?.cancel()
    for (const fd of Object.values(fds)) closeSync(fd)
    for (const stream of streams) delete fds[stream]
  }

  return {
    wake,
    started(pod) {
      begun = { type: 'started', pod }
      wake()
    },
    finish(word, from, dropped) {
      if (ending !== null) return
      ending = { word, from, dropped }
      timer?.cancel()
      timer = null
      wake()
    },
    stop
  }
}
