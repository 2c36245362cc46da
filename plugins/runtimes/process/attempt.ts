import { existsSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import type { Clock } from '../../../src/contracts/clock.ts'
import type { AttemptOrder, Report } from '../../../src/contracts/runtime.ts'
import {
  codeOf,
  isAlive,
  messageOf,
  readFacts,
  send,
  signalGroup,
  streams,
  type AttemptEnd,
  type AttemptFacts,
  type AttemptPlace,
  type ProcessMark,
  type Stream
} from './attempt-files.ts'
import type { Cgroups } from './cgroup.ts'
import { parseCursor } from './cursor.ts'
import type { Deadlines } from './deadlines.ts'
import { createTail, type Word } from './tail.ts'

/** How long the output of an ended job may stay open by what escaped its process group. */
const lingerMs = 2000
const retryMs = 500

export interface AttemptOptions {
  order: AttemptOrder
  place: AttemptPlace
  report: Report
  clock: Clock
  deadlines: Deadlines
  cgroups: Cgroups
  /** The current boot. */
  boot: string
  /** Starts collectors for it. */
  collect: () => void
  /** How long after the start collectors are worth their processes: a job may have ended by then. */
  collectAfterMs: () => number
  warn: (message: string) => void
  onDone: () => void
}

export interface LiveAttempt {
  readonly order: AttemptOrder
  readonly startedAt: number | null
  /** It runs no more; its output and its end may still have to be reported. */
  readonly hasEnded: boolean
  /** All of it is reported. */
  readonly isDone: boolean
  /** The shim told that the job runs. */
  heardStarted(job: ProcessMark): void
  /** The shim told that the job has ended; `failed` is why it never ran, or null. */
  heardEnded(end: AttemptEnd, failed: string | null): void
  wake(): void
  /** Reads from the files what became of an attempt of an earlier service, or of a shim that is gone. */
  resume(facts: AttemptFacts, isShimGone: boolean): void
  stop(graceSeconds: number): void
  /** Moves the deadline; null takes it away. */
  renew(deadlineAt: number | null): void
  /** Ends it with this word, without output: nothing of it runs. */
  conclude(word: Word): void
  /** The slow guard behind notes and file events; `isShimGone` where that is known already. */
  check(isShimGone?: boolean): void
  close(): void
}

export function createAttempt(options: AttemptOptions): LiveAttempt {
  const { order, place, report, clock, deadlines, cgroups, boot, collect, collectAfterMs, warn, onDone } =
    options
  const { name, jobId, attempt } = order
  const { folder, output } = place
  let startedAt: number | null = null
  let isDone = false
  let job: ProcessMark | null = null
  let shim: ProcessMark | null = null
  let ended: { word: Word; endedAt: number; isOverdue: boolean } | null = null
  let stopGrace: number | null = null
  let deadlineAt = order.deadlineAt
  let isAttended = false
  let timer: { cancel(): void } | null = null
  let killTimer: { cancel(): void } | null = null
  let isClosed = false
  let killAt: number | null = null

  const tail = createTail({
    identity: { name, jobId, attempt },
    output,
    cursor: parseCursor(order.cursor),
    capBytes: order.logCapBytes,
    report,
    clock,
    warn,
    onDone: () => {
      isDone = true
      onDone()
    }
  })

  /** Does it now, or a little later where it cannot be done now (no descriptor is free). */
  function persist(work: () => void): void {
    if (isClosed) return
    try {
      work()
    } catch (error) {
      warn(`${name}: ${messageOf(error)}`)
      clock.setTimeout(() => persist(work), retryMs)
    }
  }

  function began(mark: ProcessMark): void {
    if (startedAt !== null) return
    job = mark
    startedAt = clock.now()
    tail.started(name)
  }

  /** For an attempt that lives long enough to have collectors. */
  function attend(): void {
    // Its end may have been told in the same turn as the timer.
    if (ended !== null || isDone) return
    isAttended = true
    // The watchdog would do both itself after two seconds, from the shim's order.
    if (deadlineAt !== null && stopGrace === null) deadlines.set(name, 't', deadlineAt)
    if (!existsSync(`${folder}.collected`)) collect()
  }

  function changed(): void {
    if (isDone) return
    if (ended !== null) return persist(settle)
    tail.wake()
  }

  /** After the end: waits for the collectors, then says the last word. */
  function settle(): void {
    if (ended === null || isDone) return
    const facts = readFacts(folder)
    const open = streams.filter((stream) => facts?.ended[stream] === undefined)
    if (open.length > 0 && !ended.isOverdue) {
      tail.wake()
      const waitMs = ended.endedAt + lingerMs - clock.now()
      timer?.cancel()
      timer = clock.setTimeout(() => persist(waitMs > 0 ? settle : cutOff), Math.max(waitMs, 200))
      return
    }
    quiet()
    tail.finish(ended.word, streams, facts?.ended ?? {})
  }

  /** A daemon that left the process group holds the output open: its collectors are told to end. */
  function cutOff(): void {
    if (ended === null) return
    const facts = readFacts(folder)
    if (facts?.boot === boot)
      for (const mark of Object.values(facts.collectors)) if (isAlive(mark)) send(mark.pid, 'SIGTERM')
    // Their last line wakes us; if they are gone without it, the next look finishes.
    ended.isOverdue = true
    timer = clock.setTimeout(() => persist(settle), 500)
  }

  function quiet(): void {
    timer?.cancel()
    killTimer?.cancel()
    deadlines.clear(name)
  }

  function wordOf({ code, signalled, cause }: AttemptEnd): Word {
    // A shell gives 128 + n for signal n, and tells all but these two by a message (docs/decisions/004-shim.md).
    const signal = signalled ? signalName(code - 128) : null
    const ownCause = cause ?? (code !== 0 && cgroups.wasOutOfMemory(name) ? 'out-of-memory' : null)
    return { type: 'exited', exitCode: signal === null ? code : null, signal, cause: ownCause }
  }

  function end(word: Word, drained: readonly Stream[] | null): void {
    if (ended !== null || isDone) return
    ended = { word, endedAt: clock.now(), isOverdue: false }
    if (order.limits.cpu !== null || order.limits.memoryBytes !== null) cgroups.end(name)
    if (drained === null) return persist(settle)
    quiet()
    tail.finish(word, drained, {})
  }

  function terminate(graceSeconds: number): void {
    if (job === null || ended !== null) return
    if (graceSeconds > 0) {
      const at = clock.now() + graceSeconds * 1000
      // Asked again, the earlier end stands.
      if (killAt === null || at < killAt) {
        killTimer?.cancel()
        killTimer = clock.setTimeout(() => persist(() => terminate(0)), graceSeconds * 1000)
        // The watchdog does the same should this service die meanwhile.
        deadlines.set(name, 'k', at)
      }
      if (killAt === null) {
        signalGroup(job, 'SIGTERM')
        // A stopped process takes the signal only when it goes on.
        signalGroup(job, 'SIGCONT')
      }
      killAt = Math.min(at, killAt ?? at)
      return
    }
    signalGroup(job, 'SIGKILL')
    cgroups.end(name)
  }

  function noteCause(): void {
    try {
      writeFileSync(`${folder}.cause`, 'stopped\n', { flag: 'wx', mode: 0o600 })
    } catch (error) {
      // The first cause stands; and where the folder is gone there is nothing left to stop. On a full disk the stop
      // counts more than its name.
      if (!['EEXIST', 'ENOENT', 'ENOSPC', 'EDQUOT'].includes(codeOf(error))) throw error
    }
  }

  function heardStarted(mark: ProcessMark): void {
    began(mark)
    const grace = stopGrace
    if (grace !== null) return persist(() => terminate(grace))
    if (ended === null)
      timer ??= clock.setTimeout(() => setImmediate(() => persist(attend)), collectAfterMs())
    if (order.task.type === 'process' && 'stdin' in order.task && order.task.stdin != null)
      removeStdin(folder)
  }

  function heardEnded(end_: AttemptEnd, failed: string | null, at: number | null = null): void {
    timer?.cancel()
    timer = null
    if (failed !== null) return end(startFault(failed), [])
    if (startedAt === null) tail.started(name)
    end({ ...wordOf(end_), ...(at === null ? {} : { at }) }, end_.drained)
  }

  function resume(facts: AttemptFacts, isShimGone: boolean): void {
    shim = facts.shim
    if (facts.job !== null) began(facts.job)
    // It ended while no service lived: its last line in the file says when.
    if (facts.end !== null)
      return heardEnded(facts.end, facts.failed, Math.round(statSync(`${folder}.state`).mtimeMs))
    if (facts.boot !== null && facts.boot !== boot) {
      return end(
        { type: 'lost', code: 'node-rebooted', message: 'The node restarted while the job ran' },
        streams
      )
    }
    if (!isShimGone) return persist(attend)
    if (job !== null) signalGroup(job, 'SIGKILL')
    cgroups.end(name)
    const message =
      'The shim of the job was ended from outside, so nobody knows its exit status; what was left of the job was ended'
    end({ type: 'lost', code: 'exit-status-lost', message }, orCollected(facts))
  }

  return {
    order,
    get startedAt() {
      return startedAt
    },
    get hasEnded() {
      return ended !== null
    },
    get isDone() {
      return isDone
    },
    wake: changed,
    heardStarted,
    heardEnded,
    resume,
    stop(graceSeconds) {
      if (ended !== null) return
      stopGrace = Math.min(graceSeconds, stopGrace ?? graceSeconds)
      persist(() => {
        if (ended !== null) return
        noteCause()
        terminate(graceSeconds)
      })
    },
    renew(at) {
      deadlineAt = at
      // Before it is attended to, and once it is being stopped, other rules hold.
      if (!isAttended || ended !== null || stopGrace !== null) return
      if (at === null) deadlines.clear(name)
      else deadlines.set(name, 't', at)
    },
    conclude(word) {
      end(word, [])
    },
    check(isShimGone = false) {
      if (isDone) return
      if (ended !== null) return settle()
      const facts = readFacts(folder)
      if (facts === null) return
      shim = facts.shim
      if (facts.end !== null) return heardEnded(facts.end, facts.failed)
      if (facts.job !== null && startedAt === null) heardStarted(facts.job)
      if (isShimGone || (shim !== null && !isAlive(shim))) {
        fence(folder)
        const last = readFacts(folder)
        if (last !== null) return resume(last, true)
      }
      tail.wake()
    },
    close() {
      timer?.cancel()
      killTimer?.cancel()
      isClosed = true
      tail.stop()
    }
  }
}

/** From now on no shim's job begins in this folder that has not yet said so in `state`. */
export function fence(folder: string): void {
  writeFileSync(`${folder}.fenced`, '', { mode: 0o600 })
}

/** What collectors have is waited for; without them all that will ever be there is in the files. */
const orCollected = (facts: AttemptFacts): readonly Stream[] | null =>
  Object.keys(facts.collectors).length > 0 ? null : streams

function startFault(code: string): Word {
  if (code === 'cwd-missing')
    return {
      type: 'start-failed',
      code,
      message: 'The working folder cannot be entered on this node',
      retriable: false
    }
  return {
    type: 'start-failed',
    code,
    message: 'The limits of the job could not be set: its cgroup is not writable any more',
    retriable: true
  }
}

function removeStdin(folder: string): void {
  // The job has it open: its text need not lie on the disk any longer.
  try {
    unlinkSync(`${folder}.stdin`)
  } catch {
    // It goes with the folder at the latest.
  }
}

function signalName(number: number): string {
  const known = Object.entries(constants.signals).find(([, value]) => value === number)
  return known?.[0] ?? `SIG${number}`
}
