import { availableParallelism, freemem, totalmem } from 'node:os'
import { join } from 'node:path'
import { readLines } from './cgroup.ts'

export interface Machine {
  /** Cores that this process may use, whatever its cgroups say. */
  cores: number
  memoryBytes: number
}

/** What the machine has, from /proc under `root`, and where there is none (macOS) from the system calls. */
export function readMachine(root: string): Machine {
  return {
    cores: readAllowedCores(root) ?? availableParallelism(),
    memoryBytes: readMeminfo(root, 'MemTotal') ?? totalmem()
  }
}

/** Memory in use on the whole machine, in bytes, without what would be given back at once. */
export function readMemoryUsed(root: string, machine: Machine): number {
  return Math.max(0, machine.memoryBytes - (readMeminfo(root, 'MemAvailable') ?? freemem()))
}

/** Counts "0-3,8". Not availableParallelism: that cuts a cgroup's 1.5 cores down to 1. */
function readAllowedCores(root: string): number | null {
  const line = readLines(join(root, 'proc/self/status')).find((one) => one.startsWith('Cpus_allowed_list:'))
  const list = line?.slice('Cpus_allowed_list:'.length).trim() ?? ''
  if (!/^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$/.test(list)) return null
  return list.split(',').reduce((count, range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return count + last - first + 1
  }, 0)
}

function readMeminfo(root: string, name: string): number | null {
  const line = readLines(join(root, 'proc/meminfo')).find((one) => one.startsWith(`${name}:`))
  const kibibytes = /([0-9]+) kB$/.exec(line ?? '')?.[1]
  return kibibytes === undefined ? null : Number(kibibytes) * 1024
}
