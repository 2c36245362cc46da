import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
  statfsSync,
  watch,
  writeFileSync,
  type FSWatcher
} from 'node:fs'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { systemClock, type Clock } from '../../../src/contracts/clock.ts'
import type { AttemptOrder, Report, Runtime } from '../../../src/contracts/runtime.ts'
import { findTool } from './account.ts'
import { createAccounts, type Accounts } from './accounts.ts'
import { createAttempt, fence, type LiveAttempt } from './attempt.ts'
import { isAlive, messageOf, parseEnd, readBootId, readFacts, streams } from './attempt-files.ts'
import { openCgroups, type Cgroups } from './cgroup.ts'
import {
  checkFolder,
  checkStrings,
  commandOf,
  environmentOf,
  findProgram,
  shimOrder,
  type StartFault
} from './command.ts'
import { createDeadlines, type Deadlines } from './deadlines.ts'
import { createSpawner, openPipeDir, type Spawner } from './spawner.ts'

export interface ProcessRuntimeLog {
  warn(details: object, message: string): void
}

export interface ProcessRuntimeOptions {
  /** Jobs live in its `attempts`, what they print in `output`, what the shims share in `shim`. One runtime per folder at a time. */
  dataDir: string
  log: ProcessRuntimeLog
  clock?: Clock
  /** This node's name in `list()`. */
  node?: string
  /** Another user that jobs run as; needs root. */
  jobUser?: string
  /** Variables of every job's environment besides, or instead of, the defaults. */
  baseEnv?: Record<string, string>
  /** Between TERM and KILL at a deadline and for what a job leaves behind. Default 5. */
  killGraceSeconds?: number
  /** Free bytes that starting a job must leave on the disk. Default 64 MiB. */
  diskReserveBytes?: number
  /** True where the node has GPUs: those not asked for are hidden from a job. */
  hasGpus?: boolean
  /** The shell of the shims. Default: dash where there is one, else sh. */
  shell?: string
}

const checkEveryMs = 1000

/**
 * Runs process tasks, each under a small sh that outlives this service (docs/decisions/004-shim.md). `open` throws
 * where the node lacks what it needs, or `jobUser` is named without being root.
 */
export function createProcessRuntime(options: ProcessRuntimeOptions): Runtime {
  const {
    log,
    clock = systemClock,
    node = hostname(),
    baseEnv = {},
    killGraceSeconds = 5,
    hasGpus = false
  } = options
  const { diskReserveBytes = 64 * 2 ** 20 } = options
  const dataDir = resolve(options.dataDir)
  const attemptsDir = join(dataDir, 'attempts')
  const outputDir = join(dataDir, 'output')
  const runDir = join(dataDir, 'shim')
  const attempts = new Map<string, LiveAttempt>()
  const emptyCgroups = new Set<string>()
  /** When a slot got the order of an attempt. */
  const ordered = new Map<string, number>()
  let machinery: {
    report: Report
    spawner: Spawner
    deadlines: Deadlines
    cgroups: Cgroups
    boot: string
    accounts: Accounts
    envProgram: string
    pipeDir: string
  } | null = null
  let isClosed = false
  let turn = 0
  let watcher: FSWatcher | null = null
  /** How long a shim takes from its order to the job's exec, lately: a measure of how busy the machine is. */
  let startMs = 1
  let disk = { free: Infinity, at: -Infinity }

  function opened() {
    if (machinery === null) throw new Error('The process runtime is not open')
    return machinery
  }

  function hear(word: string, words: string[]): void {
    const [name = ''] = words
    const attempt = attempts.get(name)
    if (attempt === undefined || isClosed) return
    // What cannot be done now (no descriptor is free) is found again in the files by `checkAll`.
    tolerate(name, () => act(attempt, word, words))
  }

  /** One attempt's trouble is neither the end of the service nor that of its neighbours. */
  function tolerate(name: string, work: () => void): void {
    try {
      work()
    } catch (error) {
      const order = attempts.get(name)?.order
      const ids = order === undefined ? { name } : idsOf(order)
      log.warn({ runtime: 'process', ...ids, error: messageOf(error) }, 'looked at again in a moment')
    }
  }

  function act(attempt: LiveAttempt, word: string, [name = '', a = '', b = '', ...rest]: string[]): void {
    if (word === 'started') {
      const orderedAt = ordered.get(name)
      if (orderedAt !== undefined) startMs += (clock.now() - orderedAt - startMs) / 8
      attempt.heardStarted({ pid: Number(a), start: b })
    } else if (word === 'grown') attempt.wake()
    else if (word === 'ended') attempt.heardEnded(parseEnd(rest), b === 'none' ? null : b)
  }

  /** One watch for all attempts: a thousand silent jobs cost nothing, and a line is read as it is written. */
  function watchOutput(): void {
    try {
      watcher = watch(outputDir, { persistent: false }, (_, file) =>
        attempts.get(file?.slice(0, file.lastIndexOf('.')) ?? '')?.wake()
      )
      watcher.on('error', (error) =>
        log.warn(
          { runtime: 'process', error: messageOf(error) },
          'output of jobs is looked at now and then only'
        )
      )
    } catch (error) {
      log.warn(
        { runtime: 'process', error: messageOf(error) },
        'output of jobs is looked at now and then only: no inotify watch is left'
      )
    }
  }

  /** The guard behind the notes: shims that died, notes that were lost, groups that were not empty yet. */
  function checkAll(): void {
    if (isClosed) return
    for (const name of opened().spawner.findOrphans()) {
      const attempt = attempts.get(name)
      if (attempt === undefined || attempt.isDone) continue
      // No trace of the attempt: its shim died before its first act, so another may take it.
      if (existsSync(`${folderOf(name)}.state`)) tolerate(name, () => attempt.check(true))
      else dispatch(attempt.order)
    }
    // A part of them each time: a thousand silent jobs cost next to nothing.
    turn = (turn + 1) % 8
    let index = 0
    for (const [name, attempt] of attempts) if (index++ % 8 === turn) tolerate(name, () => attempt.check())
    for (const name of emptyCgroups)
      tolerate(name, () => {
        if (opened().cgroups.remove(name)) emptyCgroups.delete(name)
      })
    clock.setTimeout(checkAll, checkEveryMs)
  }

  function track(order: AttemptOrder): LiveAttempt {
    const { report, deadlines, cgroups, boot, spawner } = opened()
    const attempt = createAttempt({
      order,
      place: { folder: folderOf(order.name), output: join(outputDir, order.name) },
      report,
      clock,
      deadlines,
      cgroups,
      boot,
      collect: () => spawner.collect(order.name, order.logCapBytes),
      // On a busy machine a short job takes longer, and collectors for it would be wasted.
      collectAfterMs: () => Math.min(300, Math.max(5, 3 * startMs)),
      warn: (message) => log.warn({ runtime: 'process', ...idsOf(order) }, message),
      onDone: () => ordered.delete(order.name)
    })
    attempts.set(order.name, attempt)
    return attempt
  }

  function findDiskFault(): StartFault | null {
    const now = clock.now()
    if (now - disk.at > 1000) {
      const { bavail, bsize } = statfsSync(dataDir)
      disk = { free: bavail * bsize, at: now }
    }
    if (disk.free < diskReserveBytes) {
      return {
        code: 'disk-full',
        message: `Only ${disk.free} bytes are free in ${dataDir}; ${diskReserveBytes} are kept in reserve. Free some space`,
        retriable: true
      }
    }
    return null
  }

  /** Everything up to the shim; a fault means that nothing was begun. */
  function dispatch(order: AttemptOrder): void {
    const attempt = attempts.get(order.name) ?? track(order)
    const guarded = <T>(work: () => T | StartFault): T | null => {
      let result: T | StartFault
      try {
        result = work()
      } catch (error) {
        const isFull =
          error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')
        result = { code: isFull ? 'disk-full' : 'start-failed', message: messageOf(error), retriable: true }
      }
      if (!isFault(result)) return result
      attempt.conclude({ type: 'start-failed', ...result })
      return null
    }
    const text = guarded(() => prepareOrder(order))
    if (text === null) return
    opened().spawner.run(order.name, (place) =>
      guarded(() => {
        placeFolder(order, place)
        ordered.set(order.name, clock.now())
        return text
      })
    )
  }

  /** The order for the shim, or what stands in its way on this node. */
  function prepareOrder(order: AttemptOrder): string | StartFault {
    const { accounts, deadlines, cgroups, envProgram } = opened()
    const { name, limits, deadlineAt } = order
    const task = commandOf(order.task)
    if (task === null)
      return { code: 'invalid-task', message: 'A process task needs a command', retriable: false }
    const diskFault = findDiskFault()
    if (diskFault !== null) return diskFault
    const runner = accounts.claim(order.tenant, order.user)
    if (isFault(runner)) return runner
    const { account, prefix } = runner
    const cwd = task.cwd ?? folderOf(name)
    const env = environmentOf(order, { account, base: baseEnv, hideGpus: hasGpus })
    const fault = (task.cwd == null ? null : checkFolder(cwd)) ?? checkStrings(task.command, env)
    if (fault !== null) return fault
    const program = findProgram(task.command[0]!, env.PATH ?? '', cwd)
    if (typeof program !== 'string') return program
    let cgroupFiles: string[] = []
    if (limits.cpu !== null || limits.memoryBytes !== null) {
      try {
        cgroupFiles = cgroups.create(name, limits)
      } catch (error) {
        const reason = cgroups.isAvailable ? messageOf(error) : cgroups.description
        return {
          code: 'limits-unavailable',
          message: `This node cannot set hard limits: ${reason}. Leave out "limits" or give the service a writable cgroup`,
          retriable: false
        }
      }
    }
    return shimOrder({
      name,
      capBytes: order.logCapBytes,
      dueSeconds: deadlineAt === null ? null : deadlines.toBootSeconds(deadlineAt),
      cwd,
      stdinFile: task.stdin == null ? '/dev/null' : `${folderOf(name)}.stdin`,
      cgroupFiles,
      env,
      prefix,
      envProgram,
      program,
      args: task.command.slice(1)
    })
  }

  function placeFolder(order: AttemptOrder, place: (withFolder: boolean) => void): void {
    const { cwd, stdin } = commandOf(order.task) ?? {}
    const folder = folderOf(order.name)
    place(cwd == null)
    if (stdin != null) writeFileSync(`${folder}.stdin`, stdin, { mode: 0o600 })
    const { accounts, pipeDir } = opened()
    const runner = accounts.claim(order.tenant, order.user)
    if (isFault(runner) || !runner.isForeign) return
    const { uid, gid } = runner.account
    // A job may open its own /dev/stdout again, as its own user.
    for (const stream of streams) chownSync(join(pipeDir, 'live', `${order.name}.${stream}`), uid, gid)
    if (cwd == null) chownSync(folder, uid, gid)
  }

  const folderOf = (name: string) => join(attemptsDir, name)

  function resume(order: AttemptOrder): void {
    const folder = folderOf(order.name)
    const facts = readFacts(folder)
    if (facts === null) {
      // What was seen running is never started a second time.
      if (order.cursor === null && order.startedAt === null) return dispatch(order)
      return track(order).conclude({
        type: 'lost',
        code: 'exit-status-lost',
        message: 'The files of the attempt are gone, and with them its exit status'
      })
    }
    holdAccount(order)
    const attempt = track(order)
    const isShimGone = facts.shim === null || !isAlive(facts.shim)
    if (!isShimGone || facts.end !== null) return attempt.resume(facts, false)
    // A shim that begins right now either has told its job already, or sees this.
    fence(folder)
    attempt.resume(readFacts(folder) ?? facts, true)
  }

  /** What was started before, under whatever policies, keeps its account to itself. */
  function holdAccount({ name, tenant }: AttemptOrder): void {
    const { accounts, pipeDir } = opened()
    const pipe = statSync(join(pipeDir, 'live', `${name}.stdout`), { throwIfNoEntry: false })
    if (pipe !== undefined) accounts.adopt(tenant, pipe.uid)
  }

  return {
    name: 'process',
    taskTypes: ['process'],
    async open(report) {
      for (const folder of [attemptsDir, runDir, outputDir])
        mkdirSync(folder, { recursive: true, mode: 0o700 })
      mkdirSync(join(runDir, 'deadlines'), { recursive: true })
      const accounts = createAccounts({ dataDir, attemptsDir, jobUser: options.jobUser, clock })
      const shell = options.shell ?? findTool('dash') ?? findTool('sh')
      if (shell === null) throw new Error('The process runtime needs a POSIX sh in PATH')
      const cgroups = openCgroups()
      const pipeDir = openPipeDir(runDir)
      const spawner = createSpawner({
        runDir,
        attemptsDir,
        outputDir,
        pipeDir,
        shell,
        graceSeconds: Math.ceil(killGraceSeconds),
        clock,
        onNote: hear,
        warn: (message) => log.warn({ runtime: 'process' }, message)
      })
      machinery = {
        report,
        spawner,
        pipeDir,
        cgroups,
        accounts,
        deadlines: createDeadlines(join(runDir, 'deadlines'), clock),
        boot: readBootId(),
        envProgram: findTool('env') ?? '/usr/bin/env'
      }
      await spawner.open()
      watchOutput()
      clock.setTimeout(checkAll, checkEveryMs)
    },
    async start(order) {
      checkName(order.name)
      if (attempts.has(order.name)) return
      resume(order)
    },
    async adopt(order) {
      checkName(order.name)
      if (attempts.has(order.name)) return
      resume(order)
    },
    async stop(name, graceSeconds) {
      const attempt = attempts.get(name)
      if (attempt === undefined || attempt.isDone) return
      if (opened().spawner.withdraw(name))
        return attempt.conclude({ type: 'exited', exitCode: null, signal: null, cause: 'stopped' })
      attempt.stop(graceSeconds)
    },
    async renew(name, deadlineAt) {
      attempts.get(name)?.renew(deadlineAt)
    },
    async sweep(kept) {
      const found = [attemptsDir, outputDir].flatMap((folder) => readdirSync(folder))
      const names = new Set(found.flatMap((file) => /^roost-[0-9a-z]+-\d+/.exec(file)?.[0] ?? []))
      for (const name of names) if (!kept.has(name)) await this.remove(name)
    },
    async remove(name) {
      checkName(name)
      const attempt = attempts.get(name)
      // Its files go, so nothing of it may go on writing to them.
      if (attempt?.hasEnded === false) attempt.stop(0)
      attempt?.close()
      attempts.delete(name)
      ordered.delete(name)
      opened().deadlines.clear(name)
      await opened().spawner.remove(name)
      if (!opened().cgroups.remove(name)) {
        opened().cgroups.end(name)
        emptyCgroups.add(name)
      }
    },
    async list() {
      return [...attempts.values()]
        .filter((attempt) => !attempt.hasEnded)
        .map(({ order, startedAt }) => ({
          name: order.name,
          namespace: null,
          node,
          runtime: 'process',
          phase: startedAt === null ? 'Pending' : 'Running',
          jobId: order.jobId,
          attempt: order.attempt,
          startedAt: startedAt === null ? null : new Date(startedAt).toISOString(),
          restarts: 0,
          resources: {
            cpu: order.resources.cpu,
            memory: order.resources.memoryBytes,
            gpu: order.resources.gpu
          }
        }))
    },
    findUserFault: (tenant, user) => machinery?.accounts.findFault(tenant, user) ?? null,
    describeLimits: () => machinery?.cgroups.description ?? 'none: the process runtime is not open',
    async close() {
      isClosed = true
      watcher?.close()
      for (const attempt of attempts.values()) attempt.close()
      attempts.clear()
      machinery?.spawner.close()
    }
  }
}

const isFault = (result: unknown): result is StartFault =>
  typeof result === 'object' && result !== null && 'retriable' in result

/** What every line of the log about an attempt carries. */
const idsOf = ({ jobId, attempt, tenant }: AttemptOrder) => ({ jobId, attempt, tenant })

/** Names become folders. */
function checkName(name: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/.test(name)) throw new Error(`Not the name of an attempt: ${name}`)
}
