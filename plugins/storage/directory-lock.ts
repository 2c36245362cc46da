import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { sqliteCode } from './sqlite/faults.ts'

/**
 * Takes the data directory for this process: SQLite's exclusive lock on an empty file, which the kernel releases with
 * the process however it ends. The file beside it names the holder, for the message only.
 * @throws Error naming the directory and, where it is known, the process that holds it.
 */
export function lockDirectory(dataDir: string): { release(): void } {
  const lockFile = join(dataDir, 'lock.db')
  const pidFile = join(dataDir, 'lock.pid')
  // Only ever created, never opened here: closing any file descriptor of it would drop the lock of this process (fcntl).
  if (!existsSync(lockFile)) writeFileSync(lockFile, '', { mode: 0o600, flag: 'wx' })
  const database = new Database(lockFile, { timeout: 0 })
  try {
    database.pragma('journal_mode = delete')
    database.pragma('locking_mode = exclusive')
    database.exec('begin exclusive')
  } catch (error) {
    database.close()
    if (!sqliteCode(error)?.startsWith('SQLITE_BUSY')) throw error
    const pid = existsSync(pidFile) ? readFileSync(pidFile, 'utf8').trim() : ''
    throw new Error(
      `The data directory ${dataDir} is in use by another Roost${pid === '' ? '' : ` (process ${pid})`}. ` +
        'Stop that one first, or give this one a directory of its own (ROOST_DATA_DIR).',
      { cause: error }
    )
  }
  writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 })
  return {
    release: () => {
      rmSync(pidFile, { force: true })
      database.close()
    }
  }
}
