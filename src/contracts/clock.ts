import type {} from 'fastify'

/** The time as the code sees it; a test moves it by hand. */
export interface Clock {
  /** Wall time, milliseconds since the epoch. */
  now(): number
  /** Calls once after `delayMs`; the timer never keeps the process alive. */
  setTimeout(callback: () => void, delayMs: number): { cancel(): void }
}

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout: (callback, delayMs) => {
    // setTimeout fires at once above 2^31-1 ms; a longer wait is cut and its owner looks at the clock again.
    const timer = setTimeout(callback, Math.max(0, Math.min(delayMs, 2 ** 31 - 1)))
    timer.unref()
    return { cancel: () => clearTimeout(timer) }
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    clock: Clock
  }
}
