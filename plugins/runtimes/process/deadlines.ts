import { readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { uptime } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../../src/contracts/clock.ts'

/** What is due: `t` TERM, `k` KILL. */
type Kind = 't' | 'k'

/**
 * Deadlines that hold without the service: one empty file each, named SECONDS.KIND.NAME, which the watchdog lists in
 * order. SECONDS count from boot, suspend included.
 */
export interface Deadlines {
  /** Sets or moves the deadline of an attempt; a KILL is never moved to a later time. `at` is wall time in ms. */
  set(name: string, kind: Kind, at: number): void
  clear(name: string): void
  /** Wall time in ms as whole seconds since boot. */
  toBootSeconds(at: number): number
}

export function createDeadlines(folder: string, clock: Clock): Deadlines {
  const entries = new Map<string, string>()
  // Those of an earlier service, so that adopting an attempt moves its entry instead of adding one.
  for (const file of readdirSync(folder)) entries.set(file.split('.').slice(2).join('.'), file)
  const toBootSeconds = (at: number) => Math.max(0, Math.ceil(uptime() + (at - clock.now()) / 1000))
  return {
    toBootSeconds,
    set(name, kind, at) {
      const file = `${String(toBootSeconds(at)).padStart(12, '0')}.${kind}.${name}`
      const known = entries.get(name)
      if (kind === 'k' && known !== undefined && known.includes('.k.') && known <= file) return
      entries.set(name, file)
      if (known === file) return
      if (known !== undefined) {
        try {
          return renameSync(join(folder, known), join(folder, file))
        } catch {
          // The watchdog took it just now.
        }
      }
      writeFileSync(join(folder, file), '', { mode: 0o600 })
    },
    clear(name) {
      const file = entries.get(name)
      entries.delete(name)
      if (file !== undefined) rmSync(join(folder, file), { force: true })
    }
  }
}
