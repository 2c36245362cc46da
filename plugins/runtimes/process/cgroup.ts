import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { send } from './attempt-files.ts'

export interface CgroupLimits {
  cpu: number | null
  memoryBytes: number | null
}

/** Hard limits of attempts by cgroups below the service's own, so that the service's limits hold for its jobs too. */
export interface Cgroups {
  /** For /health: `cgroup-v2`, `cgroup-v1`, or `none: ` and the reason. */
  readonly description: string
  readonly isAvailable: boolean
  /** Makes the groups and sets the limits. Returns the files that take a process in. Throws where that fails. */
  create(name: string, limits: CgroupLimits): string[]
  /** True where the kernel ended something of the attempt for its memory. */
  wasOutOfMemory(name: string): boolean
  /** Ends all that is in the groups, also what left its session. True where there was something. */
  end(name: string): boolean
  /** Removes the groups. False while something is in them. */
  remove(name: string): boolean
}

const folderName = 'roost-jobs'

/** Finds out what this node may set. `proc` is another folder in tests. */
export function openCgroups(proc = '/proc/self'): Cgroups {
  const reasons: string[] = []
  const mounts = readMounts(join(proc, 'mountinfo'))
  const own = readOwnPaths(join(proc, 'cgroup'))
  const unified = mounts.get('')
  if (unified !== undefined) {
    const v2 = tryUnified(join(unified, own.get('') ?? '/'), reasons)
    if (v2 !== null) return v2
  }
  const [cpu, memory] = [mounts.get('cpu'), mounts.get('memory')]
  if (cpu !== undefined && memory !== undefined) {
    const v1 = trySplit(
      { cpu: join(cpu, own.get('cpu') ?? '/'), memory: join(memory, own.get('memory') ?? '/') },
      reasons
    )
    if (v1 !== null) return v1
  }
  if (reasons.length === 0) reasons.push('no cgroups are mounted')
  return {
    description: `none: ${reasons.join('; ')}`,
    isAvailable: false,
    create: () => {
      throw new Error(reasons.join('; '))
    },
    wasOutOfMemory: () => false,
    end: () => false,
    remove: () => true
  }
}

/** Version 1: a hierarchy per controller. */
function trySplit(base: { cpu: string; memory: string }, reasons: string[]): Cgroups | null {
  const folders = { cpu: join(base.cpu, folderName), memory: join(base.memory, folderName) }
  try {
    // Only tried: a group that stays would keep the service's own group from being removed after it.
    for (const folder of Object.values(base)) {
      const probe = join(folder, `roost-probe-${process.pid}`)
      mkdirSync(probe)
      rmdirSync(probe)
    }
  } catch (error) {
    reasons.push(`cgroup v1 is not writable (${message(error)})`)
    return null
  }
  const both = (name: string) => [join(folders.memory, name), join(folders.cpu, name)]
  return {
    description: 'cgroup-v1',
    isAvailable: true,
    create(name, { cpu, memoryBytes }) {
      const used: string[] = []
      // The memory group always: it is what `end` reads to find what left the session.
      const memory = join(folders.memory, name)
      mkdirSync(memory, { recursive: true })
      used.push(memory)
      if (memoryBytes !== null) {
        writeFileSync(join(memory, 'memory.limit_in_bytes'), String(memoryBytes))
        // Without it a job would swap instead of ending; absent where the kernel does not count swap.
        tryWrite(join(memory, 'memory.memsw.limit_in_bytes'), String(memoryBytes))
      }
      if (cpu !== null) {
        const folder = join(folders.cpu, name)
        mkdirSync(folder, { recursive: true })
        used.push(folder)
        writeFileSync(join(folder, 'cpu.cfs_period_us'), '100000')
        writeFileSync(join(folder, 'cpu.cfs_quota_us'), String(Math.max(1000, Math.round(cpu * 100_000))))
      }
      return used.map((folder) => join(folder, 'cgroup.procs'))
    },
    wasOutOfMemory: (name) =>
      /^oom_kill [1-9]/m.test(tryRead(join(folders.memory, name, 'memory.oom_control'))),
    end: (name) => killAll(join(folders.memory, name, 'cgroup.procs')),
    remove(name) {
      const isGone = both(name).map(tryRemove).every(Boolean)
      // The last one takes the common folder along.
      if (isGone) for (const folder of Object.values(folders)) tryRemove(folder)
      return isGone
    }
  }
}

/** Version 2: one tree; a group either holds processes or gives controllers on. */
function tryUnified(own: string, reasons: string[]): Cgroups | null {
  const available = tryRead(join(own, 'cgroup.controllers')).split(/\s+/)
  if (!available.includes('memory') || !available.includes('cpu')) {
    reasons.push('cgroup v2 gives this service no cpu and memory controllers (systemd: Delegate=yes)')
    return null
  }
  const folder = join(own, folderName)
  try {
    mkdirSync(folder, { recursive: true })
    try {
      writeFileSync(join(own, 'cgroup.subtree_control'), '+cpu +memory')
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EBUSY')) throw error
      // A group that gives controllers on holds no processes: the service steps aside into a group of its own.
      const aside = join(own, 'roost-service')
      mkdirSync(aside, { recursive: true })
      for (const pid of tryRead(join(own, 'cgroup.procs')).split('\n').filter(Boolean))
        writeFileSync(join(aside, 'cgroup.procs'), pid)
      writeFileSync(join(own, 'cgroup.subtree_control'), '+cpu +memory')
    }
    writeFileSync(join(folder, 'cgroup.subtree_control'), '+cpu +memory')
  } catch (error) {
    reasons.push(`cgroup v2 is not writable (${message(error)})`)
    return null
  }
  return {
    description: 'cgroup-v2',
    isAvailable: true,
    create(name, { cpu, memoryBytes }) {
      const group = join(folder, name)
      mkdirSync(group, { recursive: true })
      if (memoryBytes !== null) {
        writeFileSync(join(group, 'memory.max'), String(memoryBytes))
        tryWrite(join(group, 'memory.swap.max'), '0')
      }
      if (cpu !== null)
        writeFileSync(join(group, 'cpu.max'), `${Math.max(1000, Math.round(cpu * 100_000))} 100000`)
      return [join(group, 'cgroup.procs')]
    },
    wasOutOfMemory: (name) => /^oom_kill [1-9]/m.test(tryRead(join(folder, name, 'memory.events'))),
    end(name) {
      const group = join(folder, name)
      if (tryRead(join(group, 'cgroup.procs')) === '') return false
      return tryWrite(join(group, 'cgroup.kill'), '1') || killAll(join(group, 'cgroup.procs'))
    },
    remove: (name) => tryRemove(join(folder, name))
  }
}

/** Mount points by controller; '' is the unified tree. */
function readMounts(file: string): Map<string, string> {
  const mounts = new Map<string, string>()
  for (const line of tryRead(file).split('\n')) {
    const [before = '', after = ''] = line.split(' - ')
    const [type, , options = ''] = after.split(' ')
    const point = before.split(' ')[4]?.replaceAll('\\040', ' ')
    if (point === undefined) continue
    if (type === 'cgroup2') mounts.set('', point)
    if (type === 'cgroup')
      for (const option of options.split(',')) if (!mounts.has(option)) mounts.set(option, point)
  }
  return mounts
}

/** The service's own group by controller; '' is the unified tree. */
function readOwnPaths(file: string): Map<string, string> {
  const paths = new Map<string, string>()
  for (const line of tryRead(file).split('\n')) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    if (path !== '') for (const controller of controllers.split(',')) paths.set(controller, path)
  }
  return paths
}

function killAll(procsFile: string): boolean {
  const pids = tryRead(procsFile).split('\n').filter(Boolean)
  for (const pid of pids) send(Number(pid), 'SIGKILL')
  return pids.length > 0
}

function tryRemove(folder: string): boolean {
  try {
    rmdirSync(folder)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT'
  }
}

function tryRead(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}

function tryWrite(file: string, text: string): boolean {
  try {
    writeFileSync(file, text)
    return true
  } catch {
    return false
  }
}

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error))
