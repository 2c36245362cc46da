import type { CommitConnection } from '../group-commit.ts'
import { unavailable } from '../faults.ts'
import type { SqliteConnection } from './connection.ts'

/** Transactions of the connection that writes, each step over when it returns. */
export function createSqliteCommits(connection: SqliteConnection): CommitConnection {
  const begin = connection.prepare('begin immediate')
  const commit = connection.prepare('commit')
  const savepoint = connection.prepare('savepoint work')
  const release = connection.prepare('release work')
  const rollBackTo = connection.prepare('rollback to work')
  const countChanges = connection.prepare('select total_changes()').pluck()
  const run = (statement: typeof begin) => void connection.attempt(() => statement.run())
  return {
    get fault() {
      return connection.fault
    },
    // A statement that fails is undone alone; the work may go on.
    spoiledBy: () => undefined,
    begin() {
      connection.fault = null
      run(begin)
    },
    savepoint: () => run(savepoint),
    release: () => run(release),
    rollBackTo: () => run(rollBackTo),
    commit: () => run(commit),
    rollBack() {
      // After some faults SQLite has done it by itself.
      if (connection.database.inTransaction) connection.attempt(() => connection.database.exec('rollback'))
    },
    changes: () => Number(countChanges.get()),
    toFault: (error) =>
      unavailable(`The database ${connection.file} did not commit. See the log for the reason.`, error)
  }
}
