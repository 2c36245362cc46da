import type { CompiledQuery, DatabaseConnection, QueryResult } from 'kysely'
import pg from 'pg'
import { unavailable } from '../faults.ts'
import type { Log } from '../log.ts'
import { ConnectionLost, describeFault, toStatementError } from './faults.ts'
import { nameOf, types } from './session.ts'
import type { Waits } from './writer.ts'

const mostConnections = 8
const idleMs = 30_000

/** Reads committed state over a few connections that cannot write. A read that gets no answer in time is given up. */
export class PostgresReader implements DatabaseConnection {
  readonly #pool: pg.Pool
  readonly #place: string
  readonly #answerMs: number

  constructor(config: pg.ClientConfig, place: string, { connectMs, answerMs }: Waits, log: Log) {
    this.#place = place
    this.#answerMs = answerMs
    this.#pool = new pg.Pool({
      ...config,
      options: `${config.options ?? ''} -c default_transaction_read_only=on`.trim(),
      statement_timeout: Math.max(1, answerMs - 1_000),
      max: mostConnections,
      connectionTimeoutMillis: connectMs,
      idleTimeoutMillis: idleMs,
      keepAlive: true,
      types
    })
    // A connection that is lost while a read has it tells the read; without a listener it would end the process.
    this.#pool.on('connect', (client) => client.on('error', () => {}))
    // Of an idle connection; the next read makes another.
    this.#pool.on('error', (error) => log.warn({ err: error }, 'an idle connection to the database was lost'))
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    try {
      const client = await this.#acquire()
      const late = Promise.withResolvers<never>()
      const timer = setTimeout(
        () => late.reject(new ConnectionLost(`has not answered for ${this.#answerMs / 1000} s`)),
        this.#answerMs
      )
      let failure: Error | undefined
      try {
        const name = nameOf(sql)
        const values = [...parameters]
        const query = client.query<Record<string, unknown>>({
          text: sql,
          values,
          ...(name === undefined ? {} : { name })
        })
        const { rows } = await Promise.race([query, late.promise])
        return { rows: rows as R[] }
      } catch (error) {
        failure = error instanceof Error ? error : new Error(String(error))
        throw error
      } finally {
        clearTimeout(timer)
        // A connection that met anything but an answer is not used again.
        client.release(failure)
      }
    } catch (error) {
      const detail = describeFault(error, this.#place)
      throw detail === null ? toStatementError(error) : unavailable(detail, error)
    }
  }

  async #acquire(): Promise<pg.PoolClient> {
    try {
      return await this.#pool.connect()
    } catch (error) {
      throw error instanceof Error && /timeout/.test(error.message)
        ? new ConnectionLost('gave no connection in time', { cause: error })
        : error
    }
  }

  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('Repositories read in pages')
  }

  /** Waits for the reads under way. */
  async close(): Promise<void> {
    await this.#pool.end()
  }
}
