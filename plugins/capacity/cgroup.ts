import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The tightest limit on this process, of its own cgroup or of one above it, and how much of it is used; null where the machine itself is tighter. */
export interface CgroupLimits {
  /** `usedUs`: CPU time so far of all that the limit covers, in microseconds; null where the kernel does not tell. */
  cpu: { cores: number; usedUs(): number | null } | null
  /** `usedBytes`: without the file cache that would be given back at once; null where the kernel does not tell. */
  memory: { bytes: number; usedBytes(): number | null } | null
}

/** One mounted tree of cgroups, and where this process is in it. */
interface Hierarchy {
  version: 1 | 2
  controllers: readonly string[]
  mount: string
  /** Path below the mount; '' is the mount itself. */
  path: string
}

/**
 * Reads both versions of cgroups, also side by side (hybrid), under `root`: the machine's `/`, or a folder laid out like
 * it. What is missing, says "max" or is more than the machine has limits nothing.
 */
export function readCgroupLimits(
  root: string,
  machine: { cores: number; memoryBytes: number }
): CgroupLimits {
  const limits: CgroupLimits = { cpu: null, memory: null }
  const hierarchies = readHierarchies(root)
  for (const { version, controllers, mount, path } of hierarchies) {
    for (const below of upwards(path)) {
      const folder = join(mount, below)
      const cores =
        version === 2 ? readCpuMax(folder) : controllers.includes('cpu') ? readCfsQuota(folder) : null
      if (cores !== null && cores < (limits.cpu?.cores ?? machine.cores)) {
        limits.cpu = {
          cores,
          usedUs: () =>
            version === 2 ? readStat(join(folder, 'cpu.stat'), 'usage_usec') : readCpuacct(hierarchies, below)
        }
      }
      const bytes =
        version === 2
          ? readNumber(join(folder, 'memory.max'))
          : controllers.includes('memory')
            ? readNumber(join(folder, 'memory.limit_in_bytes'))
            : null
      if (bytes !== null && bytes < (limits.memory?.bytes ?? machine.memoryBytes))
        limits.memory = { bytes, usedBytes: () => readMemoryUsed(folder, version) }
    }
  }
  return limits
}

function readHierarchies(root: string): Hierarchy[] {
  const paths = readLines(join(root, 'proc/self/cgroup')).map((line) => {
    const [, controllers = '', ...path] = line.split(':')
    return { controllers: controllers === '' ? [] : controllers.split(','), path: path.join(':') }
  })
  return readLines(join(root, 'proc/self/mountinfo')).flatMap((line): Hierarchy[] => {
    const [mounted = '', filesystem = ''] = line.split(' - ')
    const [, , , mountRoot = '/', mountPoint = ''] = mounted.split(' ')
    const [type = '', , options = ''] = filesystem.split(' ')
    if (type !== 'cgroup' && type !== 'cgroup2') return []
    const version = type === 'cgroup2' ? 2 : 1
    const own = paths.find(({ controllers }) =>
      version === 2
        ? controllers.length === 0
        : controllers.length > 0 && controllers.every((one) => options.split(',').includes(one))
    )
    if (own === undefined) return []
    const mount = join(root, unescape(mountPoint))
    // A container sees the host's path but has only its own part mounted: what is not there is the mount itself.
    const path = belowMount(own.path, unescape(mountRoot))
    return [{ version, controllers: own.controllers, mount, path: existsSync(join(mount, path)) ? path : '' }]
  })
}

function belowMount(path: string, mountRoot: string): string {
  if (mountRoot === '/') return path === '/' ? '' : path
  return path.startsWith(`${mountRoot}/`) ? path.slice(mountRoot.length) : ''
}

/** '/a/b' -> '/a/b', '/a', ''. */
function upwards(path: string): string[] {
  return path === '' ? [''] : [path, ...upwards(dirname(path) === '/' ? '' : dirname(path))]
}

/** mountinfo writes a space as \040. */
const unescape = (path: string): string =>
  path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)))

/** cpu.max: "150000 100000", or "max 100000". */
function readCpuMax(folder: string): number | null {
  const [quota, period] = (readLines(join(folder, 'cpu.max'))[0] ?? '').split(' ').map(toNumber)
  return quota == null || period == null || period === 0 ? null : quota / period
}

function readCfsQuota(folder: string): number | null {
  const quota = readNumber(join(folder, 'cpu.cfs_quota_us'))
  const period = readNumber(join(folder, 'cpu.cfs_period_us'))
  return quota === null || quota <= 0 || period === null || period <= 0 ? null : quota / period
}

/** Version 1 counts CPU time in another controller, which may be mounted elsewhere, under the same path. */
function readCpuacct(hierarchies: readonly Hierarchy[], path: string): number | null {
  const accounts = hierarchies.find(({ controllers }) => controllers.includes('cpuacct'))
  const nanoseconds = accounts === undefined ? null : readNumber(join(accounts.mount, path, 'cpuacct.usage'))
  return nanoseconds === null ? null : nanoseconds / 1000
}

function readMemoryUsed(folder: string, version: 1 | 2): number | null {
  const used = readNumber(join(folder, version === 2 ? 'memory.current' : 'memory.usage_in_bytes'))
  const cache = readStat(join(folder, 'memory.stat'), version === 2 ? 'inactive_file' : 'total_inactive_file')
  return used === null ? null : Math.max(0, used - (cache ?? 0))
}

/** A value of a file of `name value` lines, such as cpu.stat; null where there is none. */
function readStat(file: string, name: string): number | null {
  const line = readLines(file).find((one) => one.startsWith(`${name} `))
  return line === undefined ? null : toNumber(line.slice(name.length + 1))
}

const readNumber = (file: string): number | null => toNumber(readLines(file)[0] ?? '')

const toNumber = (text: string): number | null => (/^-?[0-9]+$/.test(text) ? Number(text) : null)

/** Lines of a small file of the kernel; none where it cannot be read. */
export function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '')
  } catch {
    return []
  }
}
