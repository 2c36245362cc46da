import type { Retry, RetryCause } from '../schemas/job.ts'

/**
 * Wait before the next attempt, in ms: exponential in the attempts made so far, capped, with equal jitter (half fixed,
 * half random), so that jobs that failed together do not come back together.
 */
export function backoffMs(retry: Retry, attemptsMade: number, random: number): number {
  const base = (retry.backoffSeconds ?? 1) * 1000
  const cap = (retry.maxBackoffSeconds ?? 60) * 1000
  const full = Math.min(cap, base * 2 ** Math.min(attemptsMade - 1, 30))
  return Math.round(full / 2 + (full / 2) * random)
}

/** Whether one more attempt may follow; `attemptsMade` counts those that count. */
export function mayRetry(retry: Retry, cause: RetryCause, attemptsMade: number): boolean {
  return (
    attemptsMade < (retry.maxAttempts ?? 1) &&
    (retry.on ?? ['failure', 'node-lost', 'timeout']).includes(cause)
  )
}
