import { accessSync, constants, openSync, readSync, closeSync, statSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'
import type { AttemptOrder } from '../../../src/contracts/runtime.ts'
import type { ProcessTask } from '../../../src/schemas/job.ts'

/** Why an attempt cannot start, for its `start-failed` observation. */
export interface StartFault {
  code: string
  message: string
  retriable: boolean
}

export interface Account {
  name: string
  uid: number
  gid: number
  home: string
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/** The kernel's bounds of one string and of all strings of an exec (a quarter of the usual 8 MiB stack, less a reserve). */
const maxStringBytes = 131_072
const maxExecBytes = 2_000_000

/**
 * Names that a shell keeps for itself: `export` of them fails or lies (bash's UID is read-only, dash's OPTIND must be a
 * number). They are set by env(1) instead, whose command line is the job's own for a moment.
 */
const shellNames =
  /^(_|PWD|OLDPWD|SHLVL|OPTIND|OPTARG|PPID|E?UID|GROUPS|SHELLOPTS|LINENO|S?RANDOM|SECONDS|FUNCNAME|DIRSTACK|HISTCMD|COMP_\w+|EPOCH\w+|BASH\w*|PS4|ENV|IFS)$/

/** A job's environment, made from nothing; `hideGpus` where the node has GPUs that this attempt did not ask for. */
export function environmentOf(
  order: AttemptOrder,
  { account, base, hideGpus }: { account: Account; base: Record<string, string>; hideGpus: boolean }
): Record<string, string> {
  const gpus =
    order.gpus.length > 0
      ? { CUDA_VISIBLE_DEVICES: order.gpus.join(',') }
      : hideGpus
        ? { CUDA_VISIBLE_DEVICES: '' }
        : {}
  return {
    PATH: defaultPath,
    HOME: account.home,
    USER: account.name,
    LOGNAME: account.name,
    LANG: 'C.UTF-8',
    TMPDIR: '/tmp',
    ...base,
    ...gpus,
    ROOST_JOB_ID: order.jobId,
    ROOST_ATTEMPT: String(order.attempt),
    ...order.env
  }
}

/** What stands in the way of exec, told before anything is spawned; null where nothing does. */
export function checkStrings(command: readonly string[], env: Record<string, string>): StartFault | null {
  let total = 0
  for (const text of [...command, ...Object.entries(env).map(([key, value]) => `${key}=${value}`)]) {
    if (text.includes('\0'))
      return fault(
        'invalid-argument',
        'An argument or variable holds a NUL character, which no program can be given'
      )
    const bytes = Buffer.byteLength(text) + 1
    total += bytes + 8
    if (bytes > maxStringBytes) {
      return fault(
        'arguments-too-long',
        `An argument or variable has ${bytes} bytes; the system takes ${maxStringBytes - 1}. Pass it by stdin or a file`
      )
    }
  }
  return total <= maxExecBytes
    ? null
    : fault(
        'arguments-too-long',
        `Arguments and environment have ${total} bytes; the system takes about ${maxExecBytes}. Pass them by stdin or a file`
      )
}

export function checkFolder(cwd: string): StartFault | null {
  const folder = statSync(cwd, { throwIfNoEntry: false })
  if (folder === undefined)
    return fault('cwd-missing', `The working folder ${cwd} does not exist on this node`)
  return folder.isDirectory() ? null : fault('cwd-missing', `The working folder ${cwd} is not a folder`)
}

/** The file that the command names, by the job's own PATH, or why it cannot run. */
export function findProgram(name: string, path: string, cwd: string): string | StartFault {
  if (name.includes('/')) {
    const file = isAbsolute(name) ? name : join(cwd, name)
    return checkProgram(file) ?? file
  }
  let found: StartFault | null = null
  for (const folder of name === '' ? [] : path.split(delimiter)) {
    const file = join(isAbsolute(folder) ? folder : join(cwd, folder), name)
    const problem = checkProgram(file)
    if (problem === null) return file
    if (problem.code !== 'command-not-found') found ??= problem
  }
  return (
    found ??
    fault(
      'command-not-found',
      `There is no program ${JSON.stringify(name)} in the job's PATH (${path}); install it on this node, give its full path, or set PATH in env`
    )
  )
}

function checkProgram(file: string): StartFault | null {
  let stat
  try {
    stat = statSync(file, { throwIfNoEntry: false })
  } catch (error) {
    return fault(
      'not-executable',
      `${file} cannot be reached: ${error instanceof Error ? error.message : String(error)}`
    )
  }
  if (stat === undefined) return fault('command-not-found', `${file} does not exist on this node`)
  if (!stat.isFile()) return fault('not-executable', `${file} is not a file`)
  // Root may "execute" by accessSync what has no x at all.
  if ((stat.mode & 0o111) === 0 || !may(file, constants.X_OK))
    return fault('not-executable', `${file} is not executable: chmod +x it`)
  return checkInterpreter(file, stat.size)
}

/** A script whose interpreter is missing would end as a mere 127. */
function checkInterpreter(file: string, size: number): StartFault | null {
  if (size > 1_000_000 || !may(file, constants.R_OK)) return null
  const head = Buffer.alloc(256)
  const fd = openSync(file, 'r')
  const length = readSync(fd, head, 0, head.length, 0)
  closeSync(fd)
  const interpreter = /^#![ \t]*(\/[^ \t\n]*)[ \t\n]/.exec(head.toString('latin1', 0, length))?.[1]
  if (interpreter === undefined || statSync(interpreter, { throwIfNoEntry: false }) !== undefined) return null
  return fault(
    'command-not-found',
    `${file} asks for the interpreter ${interpreter}, which does not exist on this node`
  )
}

function may(file: string, mode: number): boolean {
  try {
    accessSync(file, mode)
    return true
  } catch {
    return false
  }
}

export interface ShimOrder {
  name: string
  capBytes: number
  /** Seconds since boot after which the watchdog ends it, or null. */
  dueSeconds: number | null
  cwd: string
  stdinFile: string
  /** Files that take the job into its cgroups. */
  cgroupFiles: readonly string[]
  env: Record<string, string>
  /** setsid and what else goes before the program, as absolute paths. */
  prefix: readonly string[]
  envProgram: string
  program: string
  args: readonly string[]
}

/** The order as shell text for a slot. Cut anywhere (a service killed while writing) it is a syntax error, not an order. */
export function shimOrder({
  name,
  capBytes,
  dueSeconds,
  cwd,
  stdinFile,
  cgroupFiles,
  env,
  prefix,
  envProgram,
  program,
  args
}: ShimOrder): string {
  const pairs = Object.entries(env)
  const exported = pairs.filter(([key]) => !shellNames.test(key)).map(([key, value]) => `${key}=${value}`)
  const special = pairs.filter(([key]) => shellNames.test(key)).map(([key, value]) => `${key}=${value}`)
  const words = [
    name,
    String(capBytes),
    String(dueSeconds ?? '-'),
    cwd,
    stdinFile,
    ...cgroupFiles,
    '--',
    ...exported,
    '--',
    ...prefix,
    ...(special.length > 0 ? [envProgram, ...special] : []),
    program,
    ...args
  ]
  return `if :; then attempt ${words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')}; fi\n`
}

export const commandOf = (task: AttemptOrder['task']): ProcessTask | null =>
  task.type === 'process' && 'command' in task && Array.isArray(task.command) && task.command.length > 0
    ? task
    : null

const fault = (code: string, message: string): StartFault => ({ code, message, retriable: false })
