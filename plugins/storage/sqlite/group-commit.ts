import type { AuditRecord, Transaction } from '../../../src/contracts/storage.ts'
import type { Log } from '../log.ts'
import type { CommitObserver } from '../metrics.ts'
import { addTraces, emptyTraces, type Session, type Traces } from '../session.ts'
import { createWorkRunner } from '../transaction.ts'
import type { SqliteConnection } from './connection.ts'
import { unavailable } from './faults.ts'

/** More works than this wait for the next turn, so that a flood of writes leaves room for reads and sockets. */
/** A slow disk must not make every answer slower still. */
const longestRestMs = 2
const largestGroup = 256
/** How many groups go with savepoints from the start after a work has thrown: failures come in bursts. */
const wariness = 32

interface Waiting {
  work: (tx: Transaction) => Promise<unknown>
  resolve: (value: unknown) => void
  reject: (error: unknown) => void
}
type Result = { ok: true; value: unknown } | { ok: false; error: unknown }

export interface GroupCommitOptions {
  connection: SqliteConnection
  /** The writers on that connection; they leave their traces in `session`. */
  writers: Transaction
  session: Session
  /** Chains the group's audit records; called just before the commit. */
  chain: (records: readonly AuditRecord[]) => Promise<void>
  /** Called after each commit, once its works are resolved. */
  onCommitted: (traces: Traces, changed: boolean) => void
  /** Called where a commit fails with what all its waiters got. */
  onFault: (error: Error) => void
  log: Log
  observe: CommitObserver | undefined
}

/**
 * Collects the works of an event-loop turn and commits them at once: one fsync for all of them. A group runs without
 * savepoints; where a work throws, the group is rolled back and runs again with a savepoint for each work, so that only
 * the one that throws fails.
 */
export function createGroupCommit({
  connection,
  writers,
  session,
  chain,
  onCommitted,
  onFault,
  log,
  observe
}: GroupCommitOptions) {
  const runWork = createWorkRunner(writers)
  const begin = connection.prepare('begin immediate')
  const commit = connection.prepare('commit')
  const savepoint = connection.prepare('savepoint work')
  const release = connection.prepare('release work')
  const rollBackTo = connection.prepare('rollback to work')
  const countChanges = connection.prepare('select total_changes()').pluck()
  let queue: Waiting[] = []
  let flushing: Promise<void> | null = null
  let closed = false
  let wary = 0
  let restUntil = 0

  function write<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    if (closed) return Promise.reject(unavailable('The storage is closed: Roost is stopping'))
    return new Promise<T>((resolve, reject) => {
      // What resolves is what this very work returned.
      queue.push({ work, resolve: resolve as (value: unknown) => void, reject })
      schedule()
    })
  }

  function schedule(): void {
    flushing ??= new Promise((resolve) => {
      const whenRested = (): void => {
        if (performance.now() < restUntil && !closed) {
          setImmediate(whenRested)
          return
        }
        void flush().then(() => {
          flushing = null
          if (queue.length > 0) schedule()
          resolve()
        })
      }
      setImmediate(whenRested)
    })
  }

  async function flush(): Promise<void> {
    const group = queue.slice(0, largestGroup)
    queue = queue.slice(largestGroup)
    const traces = emptyTraces()
    let results: Result[]
    let changed: boolean
    try {
      const before = countChanges.get()
      results = await runGroup(group, traces)
      changed = results.some(({ ok }) => ok) && countChanges.get() !== before
    } catch (error) {
      const fault =
        connection.fault ??
        unavailable(`The database ${connection.file} did not commit. See the log for the reason.`, error)
      abandon()
      log.error({ err: fault, works: group.length }, 'a commit failed')
      observe?.failed(group.length)
      onFault(fault)
      for (const { reject } of group) reject(fault)
      return
    }
    for (const [i, { resolve, reject }] of group.entries()) {
      const result = results[i]!
      if (result.ok) resolve(result.value)
      else reject(result.error)
    }
    onCommitted(traces, changed)
  }

  async function runGroup(group: Waiting[], traces: Traces): Promise<Result[]> {
    // A lone work has the whole transaction as its savepoint.
    if (wary > 0 && group.length > 1) {
      wary -= 1
      return await runWithSavepoints(group, traces)
    }
    return (await runTogether(group, traces)) ?? (await runWithSavepoints(group, emptied(traces)))
  }

  /** Null where a work of several threw: nothing is stored then. */
  async function runTogether(group: Waiting[], traces: Traces): Promise<Result[] | null> {
    start()
    const results: Result[] = []
    for (const { work } of group) {
      const result = await runOne(work, traces)
      results.push(result)
      if (result.ok) continue
      rollBack()
      if (group.length === 1) return results
      wary = wariness
      return null
    }
    await finish(traces, group.length)
    return results
  }

  async function runWithSavepoints(group: Waiting[], traces: Traces): Promise<Result[]> {
    start()
    const results: Result[] = []
    for (const { work } of group) {
      connection.attempt(() => savepoint.run())
      const result = await runOne(work, traces)
      results.push(result)
      if (!result.ok) connection.attempt(() => rollBackTo.run())
      connection.attempt(() => release.run())
    }
    await finish(traces, group.length)
    return results
  }

  async function runOne(work: Waiting['work'], traces: Traces): Promise<Result> {
    session.traces = emptyTraces()
    let result: Result
    try {
      result = { ok: true, value: await runWork(work) }
      addTraces(traces, session.traces)
    } catch (error) {
      result = { ok: false, error }
    }
    // SQLite may have rolled everything back by then: it is the fault of nobody's work, and of all of them.
    if (connection.fault !== null) throw connection.fault
    return result
  }

  function start(): void {
    connection.fault = null
    connection.attempt(() => begin.run())
  }

  async function finish(traces: Traces, works: number): Promise<void> {
    await chain(traces.records)
    const began = performance.now()
    connection.attempt(() => commit.run())
    const ended = performance.now()
    observe?.committed(works, (ended - began) / 1000)
    // Under load the next group waits as long as this fsync took: groups grow, and the event loop, which an fsync
    // holds up, keeps half of its time. A lone work is followed at once.
    restUntil = works > 1 ? ended + Math.min(ended - began, longestRestMs) : 0
  }

  function rollBack(): void {
    // After some faults SQLite has done it by itself.
    if (connection.database.inTransaction) connection.attempt(() => connection.database.exec('rollback'))
  }

  function abandon(): void {
    try {
      rollBack()
    } catch (error) {
      log.error({ err: error }, 'a failed commit could not be rolled back')
    }
  }

  /** Takes no more works and waits for those that were taken. */
  async function close(): Promise<void> {
    closed = true
    while (flushing !== null) await flushing
  }

  return { write, close }
}

function emptied(traces: Traces): Traces {
  traces.grown.clear()
  traces.records.length = 0
  return traces
}
