import { spawn, type ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { plainNode } from './plain-node.ts'

/** As `./roost up` starts it: the young generation small, compiled code kept. */
const launcherFlags = ['--max-semi-space-size=2']
const NODE_COMPILE_CACHE = join(tmpdir(), 'roost-compile-cache')
const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
/** A start takes well under a second; this long means that it hangs. */
const startTimeoutMs = 30_000
const keptLines = 200

export interface ServiceOptions {
  /** Default: a temporary folder, removed by `end`. */
  dataDir?: string
  /** Default: any free one; a restart keeps it. */
  port?: number
  /** Further variables (ROOST_…); nothing of the caller's ROOST_* or NODE_OPTIONS reaches the service. */
  env?: Record<string, string>
  /** Further flags of the service. */
  flags?: readonly string[]
  /** Flags of Node itself, such as --cpu-prof. */
  nodeFlags?: readonly string[]
}

export interface Service {
  readonly url: string
  readonly port: number
  readonly token: string
  readonly dataDir: string
  /** Of the process that runs now. */
  readonly pid: number
  /** Milliseconds from the exec to the ready line, of the last start. */
  readonly readyMs: number
  /** The last lines of what the service said, newest last. */
  readonly lines: readonly string[]
  /** Ends the service alone and waits for its end; its jobs go on. */
  kill(signal?: NodeJS.Signals): Promise<void>
  /** Resolves when the service ends, whoever ended it. */
  ended(): Promise<void>
  /** Starts it again on the same port and data directory; it must have been killed before. */
  restart(): Promise<void>
  /** The service, its shims and its jobs: every process of the data directory. */
  processes(): number[]
  /** Ends the service and all its jobs, and removes a temporary data directory. */
  end(): Promise<void>
}

interface ReadyLine {
  ready: true
  url: string
  pid: number
  tokenFile: string | null
}

/** Starts the real service as a child process and waits for its ready line. Rejects with what it said where it ends first. */
export async function startService(options: ServiceOptions = {}): Promise<Service> {
  const temporary =
    options.dataDir === undefined ? await mkdtemp(join(await realpath(tmpdir()), 'roost-')) : null
  const dataDir = options.dataDir === undefined ? `${temporary}` : await realpath(options.dataDir)
  const lines: string[] = []
  let child: ChildProcess | null = null
  let ended: Promise<void> = Promise.resolve()
  let ready: ReadyLine
  let port = options.port ?? 0
  let readyMs = 0
  const { PATH = '', HOME = '', USER = '', LANG = 'C.UTF-8', TMPDIR } = process.env

  async function start(): Promise<void> {
    const startedAt = performance.now()
    const started = spawn(
      plainNode.program,
      [
        ...plainNode.flags,
        ...launcherFlags,
        ...(options.nodeFlags ?? []),
        main,
        '--port',
        String(port),
        '--data-dir',
        dataDir,
        ...(options.flags ?? [])
      ],
      {
        env: {
          PATH,
          HOME,
          USER,
          LANG,
          NODE_COMPILE_CACHE,
          ...(TMPDIR === undefined ? {} : { TMPDIR }),
          ...options.env
        },
        stdio: ['ignore', 'pipe', 'pipe']
      }
    )
    child = started
    ended = new Promise((resolve) => {
      started.once('exit', () => resolve())
      started.once('error', () => resolve())
    })
    const keep = (line: string) => {
      lines.push(line)
      if (lines.length > keptLines) lines.shift()
    }
    createInterface({ input: started.stderr }).on('line', keep)
    const output = createInterface({ input: started.stdout })
    ready = await new Promise<ReadyLine>((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`The service ${why}:\n${lines.slice(-20).join('\n')}`))
      const timer = setTimeout(() => {
        started.kill('SIGKILL')
        fail(`was not ready after ${startTimeoutMs} ms`)
      }, startTimeoutMs)
      // 'close' comes after the last line of stderr, which says why.
      started.once('close', (code, signal) => {
        clearTimeout(timer)
        fail(`ended before it was ready (${code ?? signal})`)
      })
      started.once('error', reject)
      output.on('line', (line) => {
        keep(line)
        if (!line.startsWith('{"ready":true')) return
        clearTimeout(timer)
        readyMs = performance.now() - startedAt
        resolve(JSON.parse(line) as ReadyLine)
      })
    })
    port = Number(new URL(ready.url).port)
  }

  async function kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    child?.kill(signal)
    await ended
  }

  async function end(): Promise<void> {
    await kill()
    await endProcesses(dataDir)
    if (temporary !== null) await rm(temporary, { recursive: true, force: true, maxRetries: 5 })
  }

  const readToken = () => options.env?.['ROOST_TOKEN'] ?? readFileSync(`${ready.tokenFile}`, 'utf8').trim()

  try {
    await start()
  } catch (error) {
    await end()
    throw error
  }
  const token = readToken()
  return {
    token,
    dataDir,
    lines,
    kill,
    end,
    ended: () => ended,
    get url() {
      return ready.url
    },
    get port() {
      return port
    },
    get pid() {
      return ready.pid
    },
    get readyMs() {
      return readyMs
    },
    processes: () => processesOf(dataDir),
    restart: start
  }
}

/** As `startService`, ended with the test. */
export async function startServiceFor(
  t: { teardown(end: () => unknown): void },
  options: ServiceOptions = {}
): Promise<Service> {
  const service = await startService(options)
  t.teardown(() => service.end())
  return service
}

/**
 * Every process that belongs to a data directory: its folder stands in the command line, is the working directory or
 * holds the standard streams; and their children. This process and those above it are left out.
 */
export function processesOf(dataDir: string): number[] {
  const parents = new Map<number, number>()
  const found = new Set<number>()
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (!Number.isInteger(pid)) continue
    try {
      // After the name, which may hold anything: state, parent.
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      if (state === 'Z') continue
      parents.set(pid, Number(parent))
      if (belongs(pid, dataDir)) found.add(pid)
    } catch {
      // It ended while we looked.
    }
  }
  const above = new Set<number>()
  for (let pid: number | undefined = process.pid; pid !== undefined && pid > 0; pid = parents.get(pid))
    above.add(pid)
  const isFound = (pid: number): boolean => {
    for (let at: number | undefined = pid; at !== undefined && at > 1 && !above.has(at); at = parents.get(at))
      if (found.has(at)) return true
    return false
  }
  return [...parents.keys()].filter(isFound)
}

function belongs(pid: number, dataDir: string): boolean {
  const isInside = (path: string) => path === dataDir || path.startsWith(`${dataDir}/`)
  if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').some(isInside)) return true
  return ['cwd', 'fd/0', 'fd/1', 'fd/2'].some((link) => {
    try {
      return isInside(readlinkSync(`/proc/${pid}/${link}`))
    } catch {
      return false
    }
  })
}

/** Ends every process of the data directory; those that appear meanwhile too. */
export async function endProcesses(dataDir: string): Promise<void> {
  for (let round = 0; round < 100; round++) {
    const pids = processesOf(dataDir)
    if (pids.length === 0) return
    for (const pid of pids) send(pid, 'SIGKILL')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`Processes of ${dataDir} do not end: ${processesOf(dataDir).join(', ')}`)
}

/** Sends a signal to a process that may have ended. */
export function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
