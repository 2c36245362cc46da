import { systemClock, type Clock } from '../../src/contracts/clock.ts'
import { toMillicores } from '../../src/domain/quantity.ts'
import type { Capacity as CapacitySnapshot } from '../../src/schemas/node.ts'
import { readCgroupLimits } from './cgroup.ts'
import { probeGpus, type GpuProbe, type ProbedGpu } from './gpus.ts'
import { readMachine } from './machine.ts'
import { createUsageMeter } from './usage.ts'

export interface CapacityOptions {
  /** Cores, instead of what is found. */
  cpu?: number
  /** Bytes, instead of what is found. */
  memoryBytes?: number
  /** Attempts at one time. Default: 8 a core, at least 16. */
  slots?: number
  /** Kept for the machine itself. Default: no cores, and 256 MiB or a tenth of the memory, whichever is less. */
  reserve?: { cpu?: number; memoryBytes?: number }
  gpuProbe?: () => Promise<GpuProbe>
  /** Where /proc and /sys are; a test has its own. */
  root?: string
  clock?: Clock
}

export interface Needs {
  /** Cores. */
  cpu: number
  memoryBytes: number
  gpu: number
}

export type Room = Needs & { slots: number }

interface Reservation {
  millicores: number
  memoryBytes: number
  gpus: number[]
}

/** The node's capacity: found once by `probe`, promised to jobs by `reserve`. Amounts are whole millicores and bytes, so that sums never drift. */
export interface Capacity {
  /** Looks at the machine. Must be called before anything else; never rejects. Returns what went wrong, for the log. */
  probe(): Promise<string[]>
  /**
   * Promises room to a job: the indexes of the GPUs that are its own, or null where there is not enough. A job has one
   * reservation: asked again, it keeps the one it has.
   */
  reserve(jobKey: string, needs: Needs): { gpus: number[] } | null
  /** Gives the room back; no reservation is no error. */
  release(jobKey: string): void
  /** Books a job that runs already (found at start), fit or not: what runs is a fact. */
  restore(jobKey: string, booked: Needs & { gpus: readonly number[] }): void
  /** What can still be promised; never below zero. */
  free(): Room
  /** What could be promised to an idle node. */
  allocatable(): Room
  /** All of it as the API shows it, with what is measured now. */
  snapshot(): CapacitySnapshot
}

export function createCapacity(options: CapacityOptions = {}): Capacity {
  const { root = '/', clock = systemClock, gpuProbe = probeGpus } = options
  const reservations = new Map<string, Reservation>()
  const requested = { millicores: 0, memoryBytes: 0 }
  let total = { millicores: 0, memoryBytes: 0, slots: 0 }
  let kept = { millicores: 0, memoryBytes: 0 }
  let gpus: ProbedGpu[] = []
  let meter: ReturnType<typeof createUsageMeter> | null = null

  /** Millicores and bytes that can be promised at all. */
  const promisable = () => ({
    millicores: Math.max(0, total.millicores - kept.millicores),
    memoryBytes: Math.max(0, total.memoryBytes - kept.memoryBytes)
  })

  /** Which job has which GPU. */
  function holders(): Map<number, string> {
    const found = new Map<number, string>()
    for (const [jobKey, reservation] of reservations)
      for (const index of reservation.gpus) found.set(index, jobKey)
    return found
  }

  function freeGpus(): number[] {
    const held = holders()
    return gpus.map(({ index }) => index).filter((index) => !held.has(index))
  }

  function book(jobKey: string, reservation: Reservation): void {
    reservations.set(jobKey, reservation)
    requested.millicores += reservation.millicores
    requested.memoryBytes += reservation.memoryBytes
  }

  function release(jobKey: string): void {
    const reservation = reservations.get(jobKey)
    if (reservation === undefined) return
    reservations.delete(jobKey)
    requested.millicores -= reservation.millicores
    requested.memoryBytes -= reservation.memoryBytes
  }

  return {
    async probe() {
      const machine = readMachine(root)
      const limits = readCgroupLimits(root, machine)
      const cores = options.cpu ?? limits.cpu?.cores ?? machine.cores
      const memoryBytes = Math.floor(options.memoryBytes ?? limits.memory?.bytes ?? machine.memoryBytes)
      total = {
        millicores: Math.floor(cores * 1000 + 1e-6),
        memoryBytes,
        slots: options.slots ?? Math.max(16, Math.ceil(8 * cores))
      }
      kept = {
        millicores: toMillicores(options.reserve?.cpu ?? 0),
        memoryBytes: Math.ceil(options.reserve?.memoryBytes ?? Math.min(256 * 2 ** 20, memoryBytes / 10))
      }
      meter = createUsageMeter({ limits, machine, clock, root })
      const probed = await gpuProbe()
      gpus = probed.gpus
      return probed.problems
    },

    reserve(jobKey, needs) {
      const own = reservations.get(jobKey)
      if (own !== undefined) return { gpus: [...own.gpus] }
      const millicores = toMillicores(needs.cpu)
      const memoryBytes = Math.ceil(needs.memoryBytes)
      const most = promisable()
      if (
        requested.millicores + millicores > most.millicores ||
        requested.memoryBytes + memoryBytes > most.memoryBytes
      )
        return null
      if (reservations.size >= total.slots) return null
      const chosen = needs.gpu === 0 ? [] : freeGpus().slice(0, needs.gpu)
      if (chosen.length < needs.gpu) return null
      book(jobKey, { millicores, memoryBytes, gpus: chosen })
      return { gpus: [...chosen] }
    },

    release,

    restore(jobKey, booked) {
      release(jobKey)
      book(jobKey, {
        millicores: toMillicores(booked.cpu),
        memoryBytes: Math.ceil(booked.memoryBytes),
        gpus: [...booked.gpus]
      })
    },

    free() {
      const most = promisable()
      return {
        cpu: Math.max(0, most.millicores - requested.millicores) / 1000,
        memoryBytes: Math.max(0, most.memoryBytes - requested.memoryBytes),
        gpu: gpus.length === 0 ? 0 : freeGpus().length,
        slots: Math.max(0, total.slots - reservations.size)
      }
    },

    allocatable() {
      const most = promisable()
      return {
        cpu: most.millicores / 1000,
        memoryBytes: most.memoryBytes,
        gpu: gpus.length,
        slots: total.slots
      }
    },

    snapshot() {
      const most = promisable()
      const used = meter?.look() ?? { cpu: 0, memoryBytes: 0 }
      const held = holders()
      return {
        cpu: {
          total: total.millicores / 1000,
          allocatable: most.millicores / 1000,
          requested: requested.millicores / 1000,
          used: used.cpu
        },
        memory: {
          total: total.memoryBytes,
          allocatable: most.memoryBytes,
          requested: requested.memoryBytes,
          used: used.memoryBytes
        },
        gpu: gpus.map((gpu) => ({ ...gpu, jobId: held.get(gpu.index) ?? null })),
        slots: {
          total: total.slots,
          allocatable: total.slots,
          requested: reservations.size,
          used: reservations.size
        }
      }
    }
  }
}
