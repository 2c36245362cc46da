import { basename, dirname, join, resolve } from 'node:path'
import type { Storage, StorageStatus } from '../../../src/contracts/storage.ts'
import { systemClock, type Clock } from '../../../src/contracts/clock.ts'
import { lockDirectory } from '../directory-lock.ts'
import { createGroupCommit } from '../group-commit.ts'
import { createListeners } from '../listeners.ts'
import { silentLog, type Log } from '../log.ts'
import type { CommitObserver } from '../metrics.ts'
import { migrate, schemaVersion } from '../migrate.ts'
import { createAuditChain } from '../repositories/audit-append.ts'
import { createReaders, createWriters } from '../repositories/index.ts'
import { emptyTraces, type Session } from '../session.ts'
import { backUp, checkTarget } from './backup.ts'
import { createSqliteCommits } from './commits.ts'
import { kyselyOver, SqliteConnection } from './connection.ts'
import { describeFault } from './faults.ts'
import { bytesOf, prepareDirectory, prepareFile } from './files.ts'
import { createGiveBack } from './give-back.ts'
import { prepareAuditInserts, withHotStatements } from './hot-statements.ts'

export interface SqliteStorageOptions {
  /** Made where it is missing; the database is `roost.db` in it. */
  dataDir: string
  /** The most the database file may grow to; writes beyond are refused as on a full disk. Default: no bound. */
  maxBytes?: number
  /** False: the hot statements go through Kysely like all others, as they will in another dialect. Default: true. */
  handPrepared?: boolean
  clock?: Clock
  log?: Log
  observe?: CommitObserver
}

const words = {
  numbered: 'integer primary key',
  integer: 'integer',
  table: ' strict',
  clustered: ' strict, without rowid'
}
// 8 MiB of cache each, taken as it is needed; a torn page is to be an error and not the end of a scan.
const bothConnections = ['cache_size = -8192', 'temp_store = memory', 'cell_size_check = on']
const longestRestMs = 2
/** A storage that does not take writes tries one at most this often when it is asked how it is. */
const probeEveryMs = 1000
/** Large enough to need pages of its own: a few bytes often fit where there is no room for a job. */
const probeBytes = 65_536

/**
 * Opens the database of a data directory, brings its schema up to date and holds the directory until `close`.
 * @throws Error naming the file and the remedy: in use, newer than the program, damaged, not to be written.
 */
export async function openSqliteStorage(options: SqliteStorageOptions): Promise<Storage> {
  const { dataDir, maxBytes, handPrepared = true, clock = systemClock, log = silentLog, observe } = options
  const file = join(resolve(dataDir), 'roost.db')
  const undo: (() => void)[] = []
  try {
    prepareDirectory(dirname(file))
    const lock = lockDirectory(dirname(file))
    undo.unshift(() => lock.release())
    prepareFile(file, log)
    const writer = new SqliteConnection(file, { timeout: 2000 })
    undo.unshift(() => writer.close())
    await prepareDatabase(writer, maxBytes, clock.now())
    const reader = new SqliteConnection(file, { readonly: true, timeout: 2000 })
    undo.unshift(() => reader.close())
    for (const pragma of bothConnections) reader.database.pragma(pragma)
    return createStorage({
      writer,
      reader,
      handPrepared,
      clock,
      log,
      observe,
      close: () => {
        for (const step of undo) step()
      }
    })
  } catch (error) {
    for (const step of undo) step()
    throw explain(error, file)
  }
}

async function prepareDatabase(
  writer: SqliteConnection,
  maxBytes: number | undefined,
  now: number
): Promise<void> {
  const { database } = writer
  // Counts only before the first table is made: pages of purged jobs can be given back to the disk.
  database.pragma('auto_vacuum = incremental')
  database.pragma('journal_mode = wal')
  // A commit is on disk when it returns: a 202 survives kill -9 and a power cut (docs/decisions/002-group-commit.md).
  database.pragma('synchronous = full')
  database.pragma('foreign_keys = on')
  for (const pragma of bothConnections) database.pragma(pragma)
  // After a burst the WAL file shrinks back to this.
  database.pragma('journal_size_limit = 16777216')
  // Small checkpoints often: each holds a commit up for 3 ms instead of 7, and all of them together cost the same.
  database.pragma('wal_autocheckpoint = 250')
  if (maxBytes !== undefined) {
    database.pragma(
      `max_page_count = ${Math.max(1, Math.floor(maxBytes / Number(database.pragma('page_size', { simple: true }))))}`
    )
  }
  const db = kyselyOver(writer)
  database.exec('begin immediate')
  try {
    await migrate(db, words, writer.file, now)
    database.exec('commit')
  } catch (error) {
    if (database.inTransaction) database.exec('rollback')
    throw error
  }
  // The root page of every table: a file that was cut off is refused here, not by the first job that needs it.
  const tables = database
    .prepare<[], string>("select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'")
    .pluck()
    .all()
  for (const table of tables) database.prepare(`select 1 from "${table}" limit 1`).get()
}

/** An error at the start stops the service: it names the file and what to do. */
function explain(error: unknown, file: string): Error {
  const cause =
    error instanceof Error && error.cause !== undefined && 'statusCode' in error ? error.cause : error
  const detail = describeFault(cause, file)
  if (detail !== null) return new Error(detail, { cause })
  if (
    cause instanceof Error &&
    'code' in cause &&
    ['EACCES', 'EPERM', 'EROFS', 'ENOENT', 'ENOTDIR', 'ENOSPC'].includes(String(cause.code))
  ) {
    return new Error(
      `The data directory ${dirname(file)} cannot be used: ${cause.message}. Give Roost a directory it may write (ROOST_DATA_DIR).`,
      { cause }
    )
  }
  return cause instanceof Error ? cause : new Error(`The database ${basename(file)} did not open`, { cause })
}

interface Parts {
  writer: SqliteConnection
  /** Read-only, so that it sees what is committed and nothing else. */
  reader: SqliteConnection
  handPrepared: boolean
  clock: Clock
  log: Log
  observe: CommitObserver | undefined
  close: () => void
}

function createStorage({ writer, reader, handPrepared, clock, log, observe, close }: Parts): Storage {
  const appended = createListeners<[grown: ReadonlyMap<string, number>]>(log, 'appended events')
  const session: Session = { traces: emptyTraces() }
  const db = kyselyOver(writer)
  const writers = createWriters(db, session)
  const giveBack = createGiveBack(writer, log)
  const backups = new Set<Promise<unknown>>()
  let problem: string | null = null
  let probedAt = -Infinity
  let closing: Promise<void> | null = null

  const group = createGroupCommit({
    connection: createSqliteCommits(writer),
    longestRestMs,
    writers: handPrepared ? withHotStatements(writers, db, writer, session) : writers,
    session,
    log,
    observe,
    chain: createAuditChain(db, handPrepared ? prepareAuditInserts(writer) : undefined),
    onFault: (error) => {
      problem = error.message
    },
    onCommitted: ({ grown }, changed) => {
      // An empty commit writes nothing and so proves nothing.
      if (changed) {
        problem = null
        giveBack()
      }
      if (grown.size > 0) appended.tell(grown)
    }
  })

  /** Nobody may be writing while the disk is full, so the question itself finds out when it is over. */
  async function probe(): Promise<void> {
    if (problem === null || closing !== null || clock.now() - probedAt < probeEveryMs) return
    probedAt = clock.now()
    try {
      await group.write((tx) => tx.settings.set('storage-probe', ' '.repeat(probeBytes)))
      await group.write((tx) => tx.settings.set('storage-probe', null))
    } catch {
      // `problem` holds the reason.
    }
  }

  async function status(): Promise<StorageStatus> {
    await probe()
    return {
      dialect: 'sqlite',
      writable: problem === null,
      schemaVersion,
      bytes: bytesOf(writer.file),
      message: problem
    }
  }

  async function backup(file: string): Promise<{ bytes: number }> {
    const copying = backUp(writer, file, clock.now())
    backups.add(copying)
    try {
      return await copying
    } finally {
      backups.delete(copying)
    }
  }

  async function closeAll(): Promise<void> {
    await group.close()
    await Promise.allSettled(backups)
    appended.clear()
    close()
  }

  return {
    dialect: 'sqlite',
    ...createReaders(kyselyOver(reader)),
    write: group.write,
    onAppended: appended.add,
    // A commit of SQLite has failed or has not: there is never a doubt.
    onReread: () => () => {},
    backup,
    checkBackup: checkTarget,
    status,
    close: () => (closing ??= closeAll())
  }
}
