import type { Page, Pages } from './pages.ts'

export interface FollowOptions {
  from: number
  /** Ends after what is stored now, instead of waiting for more. */
  once?: boolean
  signal: AbortSignal
}

/**
 * The pages of a log from `from` (inclusive) on, until the job's last frame or the abort. The next page is read when
 * the consumer asks for it: that is the whole of the backpressure.
 */
export async function* follow(
  pages: Pages,
  jobId: string,
  { from, once = false, signal }: FollowOptions
): AsyncGenerator<Page> {
  const watch = pages.watch(jobId)
  signal.addEventListener('abort', watch.stop)
  try {
    while (!signal.aborted) {
      const page = await pages.read(jobId, from)
      if (page.frames.length > 0) {
        from = page.to + 1
        yield page
        if (page.ends) return
      } else if (once) {
        return
      } else {
        await watch.changed()
      }
    }
  } finally {
    signal.removeEventListener('abort', watch.stop)
    watch.stop()
  }
}
