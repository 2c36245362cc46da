import { randomUUID } from 'node:crypto'
import type { CompiledQuery, DatabaseConnection, QueryResult } from 'kysely'
import type pg from 'pg'
import type { Clock } from '../../../src/contracts/clock.ts'
import type { RoostError } from '../../../src/errors.ts'
import { unavailable } from '../faults.ts'
import type { CommitConnection } from '../group-commit.ts'
import type { Log } from '../log.ts'
import { ConnectionLost, describeFault, endsSession, toStatementError } from './faults.ts'
import { takeLock, type Backend } from './lock.ts'
import { PostgresSession } from './session.ts'

/** How long what is waited for, in ms. */
export interface Waits {
  /** For a connection, and for one that was lost to come back before a write is refused. */
  connectMs: number
  /** For the answer to a statement. The server gives up a second earlier, with a reason. */
  answerMs: number
  /** For the session that held the lock before to be over. */
  lockMs: number
  /** For word of a commit whose answer was lost. */
  doubtMs: number
}

export const defaultWaits: Waits = { connectMs: 5_000, answerMs: 10_000, lockMs: 5_000, doubtMs: 5_000 }

const shortestPauseMs = 100
const longestPauseMs = 2_000
/** A backend in the midst of a transaction of a service that sleeps lets go after so long. */
const idleInTransactionMs = 60_000

/** The setting by which a commit is known again: each changes it, so what it holds tells the last one that is stored. */
export const markKey = 'commit-mark'
const writeMark =
  'insert into settings (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value'
const readMark = 'select value from settings where key = $1'

export interface WriterOptions {
  config: pg.ClientConfig
  place: string
  waits: Waits
  clock: Clock
  log: Log
  /** A commit that its waiters were told had failed is stored. */
  onReread: () => void
}

/** A commit whose answer was lost, until the next connection tells. */
interface Doubt {
  mark: string
  settle(isStored: boolean): void
}

/**
 * The one connection that writes. It holds the lock on the database: after a loss nothing is written before the lock is
 * taken again, and it is free only once the session before is over, with its last commit stored or undone. So what the
 * mark says then is final.
 */
export class PostgresWriter implements CommitConnection, DatabaseConnection {
  readonly #options: WriterOptions
  readonly #run = randomUUID()
  #commits = 0
  #session: PostgresSession | null = null
  #connecting: Promise<void> | null = null
  /** Its connection stands, its lock is not taken yet. */
  #opening: PostgresSession | null = null
  /** Of the next attempt for a connection. */
  #retry: { cancel(): void } | null = null
  /** Why there is no connection, once an attempt for a new one has failed. */
  #outage: RoostError | null = null
  /** How the last connection ended. */
  #loss: RoostError | null = null
  #failures = 0
  #before: Backend | null = null
  #doubt: Doubt | null = null
  #closed = false
  /** Of the transaction. */
  #transaction: PostgresSession | null = null
  #changedBefore = 0
  #spoiledBy: unknown = undefined
  #changes = 0
  fault: RoostError | null = null
  /** How many connections there were, this one included: the lock was free between two. */
  connections = 0

  constructor(options: WriterOptions) {
    this.#options = options
  }

  /** Connects and takes the lock. Throws Error saying what is wrong with the database and what to do. */
  async open(): Promise<void> {
    try {
      await this.#connect()
    } catch (error) {
      throw new Error(this.#toFault(error).message, { cause: error })
    }
  }

  /** Why nothing can be written now; null where it can. */
  get outage(): string | null {
    if (this.#session !== null) return null
    return (this.#outage ?? this.#loss ?? this.#toFault(new ConnectionLost('has no connection'))).message
  }

  /** Whether the server answers within `limitMs`. */
  async answers(limitMs: number): Promise<boolean> {
    const session = this.#session
    if (session === null) return false
    const limit = Promise.withResolvers<boolean>()
    const timer = setTimeout(() => limit.resolve(false), limitMs)
    const answered = session.query('select 1').then(
      () => true,
      () => session.lost === null
    )
    try {
      return await Promise.race([answered, limit.promise])
    } finally {
      clearTimeout(timer)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#retry?.cancel()
    this.#opening?.lose(new ConnectionLost('was given up'))
    // An attempt that has no session yet ends its own.
    await this.#connecting
    await this.#session?.end()
    this.#session = null
  }

  /** Runs `work` on the connection without a limit of time, for migrations. */
  async patiently<T>(work: () => Promise<T>): Promise<T> {
    return await this.#session!.patiently(work)
  }

  /* Transactions: each statement goes out at once, and only its own answer is waited for. */

  async begin(): Promise<void> {
    const session = await this.#ready()
    this.fault = null
    this.#spoiledBy = undefined
    this.#changedBefore = this.#changes
    this.#transaction = session
    this.#post('begin')
  }

  savepoint(): void {
    this.#post('savepoint work')
  }

  release(): void {
    this.#post('release work')
  }

  rollBackTo(): void {
    this.#spoiledBy = undefined
    this.#post('rollback to work')
  }

  rollBack(): void {
    if (this.#transaction?.lost === null) this.#post('rollback')
    this.#transaction = null
  }

  spoiledBy = (): unknown => this.#spoiledBy

  changes = (): number => this.#changes

  async commit(): Promise<void> {
    const session = this.#transaction
    if (this.fault !== null || session === null) throw this.fault ?? this.toFault(undefined)
    if (this.#changes === this.#changedBefore) {
      this.#transaction = null
      this.#post('commit', session)
      return
    }
    const mark = `${this.#run}.${++this.#commits}`
    const marked = session.query(writeMark, [markKey, mark]).catch((error: unknown) => error)
    try {
      const { command } = await session.query('commit')
      this.#transaction = null
      // The server answers the commit of a transaction that failed with this.
      if (command === 'ROLLBACK') throw await marked
    } catch (error) {
      this.#transaction = null
      if (!endsSession(error)) throw (this.fault = this.#toFault(error))
      await this.#resolveDoubt(mark, error)
    }
  }

  toFault(error: unknown): RoostError {
    return unavailable(
      `The database ${this.#options.place} did not commit. See the log for the reason.`,
      error
    )
  }

  /* Statements of the repositories. */

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const session = this.#transaction
    if (session === null) throw this.fault ?? new Error('A statement outside of a transaction')
    try {
      const { rows, rowCount, command } = await session.query(sql, parameters)
      // What writes in its `with` (append.ts) counts as a change too.
      if (command === 'SELECT' && !sql.startsWith('with ')) return { rows: rows as R[] }
      this.#changes += rowCount ?? 0
      return { rows: rows as R[], numAffectedRows: BigInt(rowCount ?? 0) }
    } catch (error) {
      const detail = describeFault(error, this.#options.place)
      if (detail !== null) throw (this.fault = unavailable(detail, error))
      this.#spoiledBy ??= toStatementError(error)
      throw this.#spoiledBy
    }
  }

  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('Repositories read in pages')
  }

  /** Sends a statement whose answer nobody waits for: the statements behind it fail where it does. */
  #post(text: string, session = this.#transaction): void {
    session?.query(text).catch((error: unknown) => {
      this.fault ??= this.#toFault(error)
    })
  }

  #toFault(error: unknown): RoostError {
    const { place } = this.#options
    return unavailable(describeFault(error, place) ?? `The database ${place} says: ${String(error)}`, error)
  }

  /* The connection and its loss. */

  async #ready(): Promise<PostgresSession> {
    if (this.#session === null && this.#outage === null && this.#connecting !== null)
      await withLimit(this.#connecting, this.#options.waits.connectMs)
    if (this.#session !== null) return this.#session
    throw this.#outage ?? this.#loss ?? this.#toFault(new ConnectionLost('has no connection'))
  }

  async #connect(): Promise<void> {
    const { config, waits } = this.#options
    const session = await PostgresSession.open({
      config: {
        ...config,
        statement_timeout: Math.max(1, waits.answerMs - 1_000),
        lock_timeout: Math.max(1, waits.answerMs - 1_000),
        idle_in_transaction_session_timeout: idleInTransactionMs
      },
      connectMs: waits.connectMs,
      answerMs: waits.answerMs
    })
    try {
      if (this.#closed) throw new ConnectionLost('was given up')
      this.#opening = session
      // A commit must be on disk, whatever the server's default; and a server whose client is gone must find out.
      await session.query(
        `select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'`
      )
      await session.query(
        `select set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false), set_config('tcp_keepalives_count', '3', false)`
      )
      this.#before = await takeLock(session, this.#before, waits.lockMs)
      await this.#settleDoubt(session)
    } catch (error) {
      session.lose(new ConnectionLost('was given up'))
      throw error
    } finally {
      this.#opening = null
    }
    this.#session = session
    this.connections += 1
    this.#outage = null
    this.#failures = 0
    session.onLost((error) => this.#lost(error))
  }

  async #settleDoubt(session: PostgresSession): Promise<void> {
    const doubt = this.#doubt
    if (doubt === null) return
    const { rows } = await session.query(readMark, [markKey])
    this.#doubt = null
    doubt.settle(rows[0]?.['value'] === doubt.mark)
  }

  #lost(error: ConnectionLost): void {
    this.#session = null
    if (this.#closed) return
    const fault = this.#toFault(error)
    this.#loss = fault
    if (this.#transaction !== null) this.fault ??= fault
    this.#options.log.warn({ err: fault }, 'the connection to the database is lost; a new one is made')
    this.#reconnect()
  }

  #reconnect(): void {
    if (this.#closed) return
    this.#connecting = this.#connect()
      .catch((error: unknown) => {
        if (this.#closed) return
        this.#outage = this.#toFault(error)
        this.#failures += 1
        if (this.#failures === 1)
          this.#options.log.error({ err: this.#outage }, 'no connection to the database; tried again')
        const pauseMs = Math.min(longestPauseMs, shortestPauseMs * 2 ** (this.#failures - 1))
        this.#retry = this.#options.clock.setTimeout(() => this.#reconnect(), pauseMs)
      })
      .finally(() => (this.#connecting = null))
  }

  /**
   * The connection ended between a commit and its answer. Waits for the next one to tell whether it is stored: returns
   * where it is, throws where it is not or where that takes too long.
   */
  async #resolveDoubt(mark: string, cause: unknown): Promise<void> {
    const { place, waits } = this.#options
    const outcome = Promise.withResolvers<boolean>()
    let isWaiting = true
    this.#doubt = {
      mark,
      settle: (isStored) => {
        outcome.resolve(isStored)
        if (!isWaiting && isStored) this.#options.onReread()
      }
    }
    const isStored = await withLimit(outcome.promise, waits.doubtMs)
    isWaiting = false
    if (isStored === true) return
    throw (this.fault = unavailable(
      isStored === false
        ? `The database ${place} lost the connection during a commit, and nothing of it is stored. Send the request again.`
        : `The database ${place} lost the connection during a commit, and whether it is stored is not known yet. See what is there once it is back, or send the request again with the same Idempotency-Key.`,
      cause
    ))
  }
}

/** What `promise` gives, or undefined after `limitMs`. */
async function withLimit<T>(promise: Promise<T>, limitMs: number): Promise<T | undefined> {
  const limit = Promise.withResolvers<undefined>()
  const timer = setTimeout(() => limit.resolve(undefined), limitMs)
  try {
    return await Promise.race([promise, limit.promise])
  } finally {
    clearTimeout(timer)
  }
}
