import type { Clock } from '../src/contracts/clock.ts'

/** Time that a test moves by hand: timers run in their order, each with its own time as now. */
export function createFakeClock(start = Date.now()) {
  let now = start
  let timers: { at: number; callback: () => void }[] = []

  const clock: Clock = {
    now: () => now,
    setTimeout(callback, delayMs) {
      const timer = { at: now + delayMs, callback }
      timers.push(timer)
      return { cancel: () => void (timers = timers.filter((other) => other !== timer)) }
    }
  }
  return {
    ...clock,
    /** Moves the time on and runs what is due. */
    advance(ms: number): void {
      const end = now + ms
      for (;;) {
        const [next] = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
        if (next === undefined) break
        timers = timers.filter((other) => other !== next)
        now = next.at
        next.callback()
      }
      now = end
    }
  }
}
