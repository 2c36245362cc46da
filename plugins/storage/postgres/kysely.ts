import {
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type DatabaseConnection
} from 'kysely'
import type { Tables } from '../tables.ts'

/** Kysely over a connection whose transactions its owner begins and commits. */
export function kyselyOver(connection: DatabaseConnection): Kysely<Tables> {
  const owned = async () => {
    throw new Error('The group commit begins and ends transactions')
  }
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new PostgresQueryCompiler(),
      createDriver: () => ({
        init: async () => {},
        acquireConnection: async () => connection,
        beginTransaction: owned,
        commitTransaction: owned,
        rollbackTransaction: owned,
        releaseConnection: async () => {},
        destroy: async () => {}
      })
    }
  })
}
