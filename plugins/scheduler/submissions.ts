/** The window of a quota of submissions a minute. */
export const windowMs = 60_000
/** Windows kept before those that are empty are removed. */
const keptWindows = 10_000

/**
 * When jobs were accepted, by tenant or token, for as long as a window is: an exact sliding window. In memory alone: a
 * restart forgets the last minute.
 */
export function createSubmissions() {
  const windows = new Map<string, { times: number[]; head: number }>()

  /** The window without what is over. */
  function current(key: string, now: number): { times: number[]; head: number } | undefined {
    const window = windows.get(key)
    if (window === undefined) return undefined
    const { times } = window
    while (window.head < times.length && times[window.head]! <= now - windowMs) window.head++
    if (window.head === times.length) {
      windows.delete(key)
      return undefined
    }
    if (window.head > 1024 && window.head * 2 > times.length) {
      times.splice(0, window.head)
      window.head = 0
    }
    return window
  }

  return {
    count(key: string, now: number): number {
      const window = current(key, now)
      return window === undefined ? 0 : window.times.length - window.head
    },
    add(key: string, now: number): void {
      const window = current(key, now)
      if (window !== undefined) {
        window.times.push(now)
        return
      }
      if (windows.size >= keptWindows) for (const other of windows.keys()) current(other, now)
      windows.set(key, { times: [now], head: 0 })
    },
    /** Takes back the last one: it was not accepted after all. */
    undo(key: string): void {
      const window = windows.get(key)
      if (window === undefined) return
      window.times.pop()
      if (window.head >= window.times.length) windows.delete(key)
    },
    /** Milliseconds until fewer than `limit` are in the window; 0 where they are. */
    msUntilBelow(key: string, limit: number, now: number): number {
      const window = current(key, now)
      const count = window === undefined ? 0 : window.times.length - window.head
      if (window === undefined || count < limit) return 0
      if (limit === 0) return windowMs
      return window.times[window.head + count - limit]! + windowMs - now
    }
  }
}

export type Submissions = ReturnType<typeof createSubmissions>
