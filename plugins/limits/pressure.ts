import { totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'

export interface PressureOptions {
  /** Mean delay of the event loop over a sample above which requests are shed; 0 = never. */
  eventLoopDelayMs: number
  /** Percent of the heap that V8 may grow to; 0 = never. */
  heapPercent: number
  /** Resident memory of the service; 0 = never, null = nine tenths of what its cgroup may take, if that has a bound. */
  rssBytes: number | null
  sampleSeconds: number
}

export interface Thresholds {
  maxEventLoopDelay: number
  maxHeapUsedBytes: number
  maxRssBytes: number
}

const mib = 2 ** 20

/** The bounds as numbers of this machine; 0 = none. */
export function thresholdsOf({ eventLoopDelayMs, heapPercent, rssBytes }: PressureOptions): Thresholds {
  const bound = process.constrainedMemory()
  return {
    maxEventLoopDelay: eventLoopDelayMs,
    maxHeapUsedBytes: Math.floor((getHeapStatistics().heap_size_limit * heapPercent) / 100),
    // Without a bound the kernel tells a number that no machine has.
    maxRssBytes: rssBytes ?? (bound > 0 && bound < totalmem() ? Math.floor(bound * 0.9) : 0)
  }
}

/** Which bound is crossed, with both figures. */
export function describePressure(
  now: { eventLoopDelay: number; heapUsed: number; rssBytes: number },
  { maxEventLoopDelay, maxHeapUsedBytes, maxRssBytes }: Thresholds
): string {
  if (maxEventLoopDelay > 0 && now.eventLoopDelay > maxEventLoopDelay)
    return `The event loop is ${Number.isFinite(now.eventLoopDelay) ? `${Math.round(now.eventLoopDelay)} ms` : 'a whole sample'} behind; ${maxEventLoopDelay} ms are allowed`
  if (maxHeapUsedBytes > 0 && now.heapUsed > maxHeapUsedBytes)
    return `The heap holds ${Math.round(now.heapUsed / mib)} MiB; ${Math.round(maxHeapUsedBytes / mib)} MiB are allowed`
  return `The service takes ${Math.round(now.rssBytes / mib)} MiB; ${Math.round(maxRssBytes / mib)} MiB are allowed`
}
