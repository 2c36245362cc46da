import { cpus } from 'node:os'
import type { Clock } from '../../src/contracts/clock.ts'
import type { CgroupLimits } from './cgroup.ts'
import { readMemoryUsed, type Machine } from './machine.ts'

/** Below this the counters of CPU time are too coarse to divide. */
const shortestSpanMs = 200

export interface Usage {
  /** Cores in use, the mean since the last look. */
  cpu: number
  memoryBytes: number
}

export interface UsageOptions {
  limits: CgroupLimits
  machine: Machine
  clock: Clock
  root: string
}

/**
 * Measures what is in use: of the cgroup that limits this process where one does, else of the machine. Looks only when
 * asked; the first answer about CPU comes with the second look.
 */
export function createUsageMeter({ limits, machine, clock, root }: UsageOptions): { look(): Usage } {
  const mostCores = limits.cpu?.cores ?? machine.cores
  let last = { at: clock.now(), cpuMs: cpuTimeMs() }
  let cpu = 0

  function cpuTimeMs(): number {
    const usedUs = limits.cpu?.usedUs() ?? null
    if (usedUs !== null) return usedUs / 1000
    return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0)
  }

  return {
    look() {
      const at = clock.now()
      // A wall clock that was set back gives a span that says nothing.
      if (at < last.at) last = { at, cpuMs: cpuTimeMs() }
      if (at - last.at >= shortestSpanMs) {
        const cpuMs = cpuTimeMs()
        cpu = Math.min(mostCores, Math.max(0, (cpuMs - last.cpuMs) / (at - last.at)))
        last = { at, cpuMs }
      }
      return {
        cpu: Math.round(cpu * 1000) / 1000,
        memoryBytes: limits.memory?.usedBytes() ?? readMemoryUsed(root, machine)
      }
    }
  }
}
