import Database from 'better-sqlite3'
import {
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type CompiledQuery,
  type DatabaseConnection,
  type QueryResult
} from 'kysely'
import type { RoostError } from '../../../src/errors.ts'
import { unavailable } from '../faults.ts'
import type { Tables } from '../tables.ts'
import { describeFault } from './faults.ts'

const statementsKept = 200

type Statement = Database.Statement<unknown[], unknown>

/**
 * One SQLite connection: prepared statements by their text, and every fault of the storage (disk, lock, damage) turned
 * into `storage-unavailable` in this one place. Each call is over before it returns; only the shape is asynchronous.
 */
export class SqliteConnection implements DatabaseConnection {
  readonly database: Database.Database
  readonly file: string
  /** The last fault met; whoever commits looks here, as a work may have swallowed the error. */
  fault: RoostError | null = null
  readonly #statements = new Map<string, Statement>()

  constructor(file: string, options: Database.Options) {
    this.file = file
    this.database = new Database(file, options)
  }

  prepare(sql: string): Statement {
    const kept = this.#statements.get(sql)
    if (kept !== undefined) return kept
    const statement = this.attempt(() => this.database.prepare<unknown[], unknown>(sql))
    if (this.#statements.size >= statementsKept)
      this.#statements.delete(this.#statements.keys().next().value!)
    this.#statements.set(sql, statement)
    return statement
  }

  /** @throws RoostError `storage-unavailable` where SQLite meets a fault, else what `call` throws. */
  attempt<T>(call: () => T): T {
    try {
      return call()
    } catch (error) {
      const detail = describeFault(error, this.file)
      if (detail === null) throw error
      this.fault = unavailable(detail, error)
      throw this.fault
    }
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const statement = this.prepare(sql)
    if (statement.reader) return { rows: this.attempt(() => statement.all(...parameters) as R[]) }
    const { changes } = this.attempt(() => statement.run(...parameters))
    return { rows: [], numAffectedRows: BigInt(changes) }
  }

  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('Repositories read in pages; an open cursor would hold a snapshot and the WAL behind it')
  }

  close(): void {
    this.#statements.clear()
    this.database.close()
  }
}

/** Kysely over a connection that its owner opens, begins, commits and closes. */
export function kyselyOver(connection: SqliteConnection): Kysely<Tables> {
  const run = async (sql: string) => {
    connection.attempt(() => connection.database.exec(sql))
  }
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
      createDriver: () => ({
        init: async () => {},
        acquireConnection: async () => connection,
        beginTransaction: () => run('begin immediate'),
        commitTransaction: () => run('commit'),
        rollbackTransaction: () => run('rollback'),
        releaseConnection: async () => {},
        destroy: async () => {}
      })
    }
  })
}
