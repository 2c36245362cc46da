import type { Transaction } from '../../src/contracts/storage.ts'
import type { RoostError } from '../../src/errors.ts'
import { unavailable } from './faults.ts'
import type { Log } from './log.ts'
import type { CommitObserver } from './metrics.ts'
import type { AuditChain } from './repositories/audit-append.ts'
import { addTraces, emptyTraces, type Session, type Traces } from './session.ts'
import { createWorkRunner } from './transaction.ts'

/** More works than this wait for the next turn, so that a flood of writes leaves room for reads and sockets. */
const largestGroup = 256
/** How many groups go with savepoints from the start after a work has thrown: failures come in bursts. */
const wariness = 32

interface Waiting {
  work: (tx: Transaction) => Promise<unknown>
  resolve: (value: unknown) => void
  reject: (error: unknown) => void
}
type Result = { ok: true; value: unknown } | { ok: false; error: unknown }

type Step = void | Promise<void>

/**
 * Transactions on the one connection that writes, as a dialect gives them. A step may be under way when it returns: the
 * steps behind it wait for it, and what goes wrong is met by `commit` at the latest.
 */
export interface CommitConnection {
  /** The last fault of the storage met since `begin`: it fails the whole group, as a work may have swallowed the error. */
  readonly fault: RoostError | null
  /** The error of a statement that left the work it belongs to no way to go on (Postgres), until it is rolled back. */
  spoiledBy(): unknown
  begin(): Step
  savepoint(): Step
  release(): Step
  rollBackTo(): Step
  /** On disk once it is over. Where that cannot be told, it throws, and the storage finds out (`Storage.onReread`). */
  commit(): Step
  rollBack(): Step
  /** Rows changed since the connection was opened. */
  changes(): number
  /** What the waiters of a group get for an error that is none of a work. */
  toFault(error: unknown): RoostError
}

export interface GroupCommitOptions {
  connection: CommitConnection
  /**
   * Where the commit holds up the event loop (SQLite's fsync), the next group rests as long as it took, and no longer
   * than this: a slow disk must not make every answer slower still.
   */
  longestRestMs: number
  /** The writers on that connection; they leave their traces in `session`. */
  writers: Transaction
  session: Session
  /** Takes the group's audit records just before the commit. */
  chain: AuditChain
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
  longestRestMs,
  writers,
  session,
  chain,
  onCommitted,
  onFault,
  log,
  observe
}: GroupCommitOptions) {
  const runWork = createWorkRunner(writers)
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
      const before = connection.changes()
      results = await runGroup(group, traces)
      changed = results.some(({ ok }) => ok) && connection.changes() !== before
    } catch (error) {
      const fault = connection.fault ?? connection.toFault(error)
      await abandon()
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
    await connection.begin()
    const results: Result[] = []
    for (const { work } of group) {
      const result = await runOne(work, traces)
      results.push(result)
      if (result.ok) continue
      await connection.rollBack()
      if (group.length === 1) return results
      wary = wariness
      return null
    }
    await finish(traces, group.length)
    return results
  }

  async function runWithSavepoints(group: Waiting[], traces: Traces): Promise<Result[]> {
    await connection.begin()
    const results: Result[] = []
    for (const { work } of group) {
      await connection.savepoint()
      const result = await runOne(work, traces)
      results.push(result)
      if (!result.ok) await connection.rollBackTo()
      await connection.release()
    }
    await finish(traces, group.length)
    return results
  }

  async function runOne(work: Waiting['work'], traces: Traces): Promise<Result> {
    session.traces = emptyTraces()
    let result: Result
    try {
      const value = await runWork(work)
      const spoiledBy = connection.spoiledBy()
      result = spoiledBy === undefined ? { ok: true, value } : { ok: false, error: spoiledBy }
      if (result.ok) addTraces(traces, session.traces)
    } catch (error) {
      result = { ok: false, error }
    }
    // The database may have rolled everything back by then: it is the fault of nobody's work, and of all of them.
    if (connection.fault !== null) throw connection.fault
    return result
  }

  async function finish(traces: Traces, works: number): Promise<void> {
    await chain.add(traces.records)
    const began = performance.now()
    await connection.commit()
    chain.settle(true)
    const ended = performance.now()
    observe?.committed(works, (ended - began) / 1000)
    // Under load the next group waits as long as this fsync took: groups grow, and the event loop, which an fsync
    // holds up, keeps half of its time. A lone work is followed at once.
    restUntil = works > 1 ? ended + Math.min(ended - began, longestRestMs) : 0
  }

  async function abandon(): Promise<void> {
    chain.settle(false)
    try {
      await connection.rollBack()
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
