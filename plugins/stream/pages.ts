import type { Storage } from '../../src/contracts/storage.ts'
import { encodeMessages } from './messages.ts'

/** A stretch of a job's log, encoded once for however many readers. */
export interface Page {
  /** seq of its first and of its last frame; `to` = `from` - 1 where it is empty. */
  from: number
  to: number
  /** The frames as JSON, in order. */
  frames: readonly string[]
  /** True where its last frame is the job's last. */
  ends: boolean
  /** All of it as WebSocket messages, one for each frame. */
  webSocketBytes(): Buffer
  /** All of it as server-sent events, the seq as their id. */
  eventStreamBytes(): Buffer
}

export interface PagesOptions {
  storage: Pick<Storage, 'events' | 'onAppended' | 'onReread'>
  /** Most frames and about the most bytes of a page. */
  pageFrames?: number
  pageBytes?: number
  /** What recent pages may take of memory. */
  cacheBytes?: number
}

/**
 * Reads logs in pages. A reader holds a cursor and asks for the page at it; readers in step share one read and one
 * encoding. Pages live in a small cache, so memory does not grow with the readers.
 */
export function createPages({
  storage,
  pageFrames = 512,
  pageBytes = 256 * 1024,
  cacheBytes = 16 * 2 ** 20
}: PagesOptions) {
  const cache = new Map<string, Promise<Page>>()
  const sizes = new Map<string, number>()
  let cached = 0
  const lastSeqs = new Map<string, number>()
  const waiters = new Map<string, Set<() => void>>()

  const forgetAppended = storage.onAppended((grown) => {
    for (const [jobId, lastSeq] of grown) {
      const waiting = waiters.get(jobId)
      if (waiting === undefined) continue
      lastSeqs.set(jobId, lastSeq)
      for (const wake of waiting) wake()
    }
  })
  // Nobody was told what a commit that is found stored later appended: any log may have grown.
  const forgetReread = storage.onReread(() => {
    lastSeqs.clear()
    cache.clear()
    sizes.clear()
    cached = 0
    for (const waiting of waiters.values()) for (const wake of waiting) wake()
  })

  async function load(jobId: string, from: number): Promise<Page> {
    const stored = await storage.events.read(jobId, from, pageFrames, pageBytes)
    const last = stored.at(-1)
    return createPage(
      from,
      stored.map(({ json }) => json),
      last?.type === 'result' || last?.type === 'error'
    )
  }

  return {
    /** The frames from `from` on that are stored now; maybe none. */
    async read(jobId: string, from: number): Promise<Page> {
      // The last seq known stands in the key: a page read earlier may have grown since.
      const key = `${jobId}:${from}:${lastSeqs.get(jobId) ?? ''}`
      const found = cache.get(key)
      if (found !== undefined) return await found
      const loading = load(jobId, from)
      // Only pages of a log that somebody follows are kept: their key changes when the log grows.
      if (lastSeqs.has(jobId)) {
        cache.set(key, loading)
        loading.then(
          (page) => {
            if (cache.get(key) !== loading) return
            const bytes = sizeOf(page)
            sizes.set(key, bytes)
            cached += bytes
            for (const [oldest] of cache) {
              if (cached <= cacheBytes) break
              cache.delete(oldest)
              cached -= sizes.get(oldest) ?? 0
              sizes.delete(oldest)
            }
          },
          () => {
            if (cache.get(key) === loading) cache.delete(key)
          }
        )
      }
      return await loading
    },

    /**
     * Begins to watch a log. `changed()` resolves when it grew since the last call (at once where it has already) or
     * when `stop` was called.
     */
    watch(jobId: string): { changed(): Promise<void>; stop(): void } {
      let grown = false
      let resolveChange: (() => void) | null = null
      const wake = () => {
        grown = true
        resolveChange?.()
        resolveChange = null
      }
      let waiting = waiters.get(jobId)
      if (waiting === undefined) waiters.set(jobId, (waiting = new Set()))
      waiting.add(wake)
      return {
        async changed() {
          if (!grown) await new Promise<void>((resolve) => (resolveChange = resolve))
          grown = false
        },
        stop() {
          waiting.delete(wake)
          if (waiting.size === 0 && waiters.get(jobId) === waiting) {
            waiters.delete(jobId)
            lastSeqs.delete(jobId)
          }
          wake()
        }
      }
    },

    close(): void {
      forgetAppended()
      forgetReread()
    }
  }
}

export type Pages = ReturnType<typeof createPages>

/** What a page takes of memory once it is encoded for one kind of reader. */
const sizeOf = (page: Page): number => page.frames.reduce((bytes, frame) => bytes + 2 * frame.length, 0)

function createPage(from: number, frames: readonly string[], ends: boolean): Page {
  let webSocket: Buffer | null = null
  let eventStream: Buffer | null = null
  return {
    from,
    to: from + frames.length - 1,
    frames,
    ends,
    webSocketBytes: () => (webSocket ??= encodeMessages(frames)),
    eventStreamBytes: () =>
      (eventStream ??= Buffer.from(frames.map((frame, i) => `id: ${from + i}\ndata: ${frame}\n\n`).join('')))
  }
}
