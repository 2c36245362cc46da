import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readSync, rmSync, statSync } from 'node:fs'
import type { Log } from '../log.ts'

const walHeaderVersion = 2

/**
 * Makes the data directory, readable by this user alone. Where others may pass through it (`chmod o+x`, for jobs that
 * run as another user) they still may.
 */
export function prepareDirectory(dataDir: string): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  closeToOthers(dataDir, 0o700 | (statSync(dataDir).mode & 0o011))
}

/** SQLite gives its WAL the mode of the database, so the file gets its own before SQLite sees it. The lock is held. */
export function prepareFile(file: string, log: Log): void {
  closeSync(openSync(file, 'a', 0o600))
  closeToOthers(file, 0o600)
  dropForeignWal(file, log)
}

/** A volume of a pod belongs to root and is opened to the service by its group: that is not ours to change. */
function closeToOthers(path: string, mode: number): void {
  if (statSync(path).uid === process.getuid?.()) chmodSync(path, mode)
}

/** Bytes on disk, the WAL with it. */
export function bytesOf(file: string): number {
  return [file, `${file}-wal`].reduce(
    (sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0),
    0
  )
}

/**
 * A backup put in place of a database whose process was killed stands beside that one's WAL, and SQLite would play it
 * into the backup. A backup is no WAL database (its header says so) until it is opened here, so such a WAL is not its own.
 */
function dropForeignWal(file: string, log: Log): void {
  const wal = `${file}-wal`
  if (!existsSync(wal)) return
  const header = Buffer.alloc(20)
  const fd = openSync(file, 'r')
  try {
    if (readSync(fd, header, 0, 20, 0) < 20 || header[18] === walHeaderVersion) return
  } finally {
    closeSync(fd)
  }
  log.warn({ wal }, 'removing the WAL of another database: this file is a restored backup')
  rmSync(wal)
  rmSync(`${file}-shm`, { force: true })
}
