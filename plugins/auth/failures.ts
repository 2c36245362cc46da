import type { Clock } from '../../src/contracts/clock.ts'
import { RoostError } from '../../src/errors.ts'

/** Addresses kept; the one heard of longest ago makes room. */
const addressesKept = 10_000

/**
 * Counts unknown tokens by address. Past `max` in a window an address has to wait: its tokens are not looked at, so
 * guessing is slow, while a token that was found good before still passes.
 */
export function createFailures({ max, windowMs, clock }: { max: number; windowMs: number; clock: Clock }) {
  const windows = new Map<string, { count: number; until: number }>()
  return {
    /** Throws `rate-limited` where this address has to wait. */
    admit(address: string): void {
      const window = windows.get(address)
      if (window === undefined || window.count < max) return
      const left = window.until - clock.now()
      if (left <= 0) return
      const seconds = Math.ceil(left / 1000)
      throw new RoostError(
        'rate-limited',
        `This address sent ${max} unknown tokens; no other is looked at for ${seconds} s`,
        { headers: { 'retry-after': String(seconds) } }
      )
    },
    count(address: string): void {
      const now = clock.now()
      const window = windows.get(address)
      windows.delete(address)
      windows.set(
        address,
        window === undefined || window.until <= now
          ? { count: 1, until: now + windowMs }
          : { count: window.count + 1, until: window.until }
      )
      if (windows.size > addressesKept) windows.delete(windows.keys().next().value!)
    },
    /** Addresses kept now. */
    size: () => windows.size
  }
}
