import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, openSync, closeSync, fsyncSync, renameSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, isAbsolute, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { RoostError } from '../../../src/errors.ts'
import type { SqliteConnection } from './connection.ts'
import { unavailable } from '../faults.ts'

export interface BackupMark {
  /** The copy; not a backup yet. */
  file: string
  /** Value of its setting `restored`: a service that opens it starts paused. */
  restored: string
}

/**
 * Copies the database of `connection` (the one that writes: pages it changes meanwhile go into the copy too, while a
 * change by another connection would start the copy over) into `file`, which appears only when it is whole, checked and
 * on disk.
 * @throws RoostError `invalid` for a file that cannot be, `storage-unavailable` where the copy cannot be written.
 */
export async function backUp(
  connection: SqliteConnection,
  file: string,
  now: number
): Promise<{ bytes: number }> {
  checkTarget(file)
  const folder = dirname(file)
  const copy = join(folder, `.${basename(file)}.${randomBytes(6).toString('hex')}.part`)
  try {
    // Made here for its mode: the copy holds everything, and its folder may be open to others.
    closeSync(openSync(copy, 'wx', 0o600))
    await connection.database.backup(copy)
    await markAndCheck({ file: copy, restored: JSON.stringify({ at: now, from: connection.file }) })
    checkTarget(file)
    const { size } = statSync(copy)
    renameSync(copy, file)
    syncFolder(folder)
    return { bytes: size }
  } catch (error) {
    if (error instanceof RoostError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw unavailable(
      `The backup ${file} could not be written: ${reason}. See that its folder has room and can be written.`,
      error
    )
  } finally {
    for (const end of ['', '-journal', '-wal', '-shm']) rmSync(copy + end, { force: true })
  }
}

/** Throws `invalid` where no backup can be written to `file`. */
export function checkTarget(file: string): void {
  const refuse = (message: string) =>
    new RoostError('invalid', `No backup can be written to ${file}: ${message}`, {
      errors: [{ pointer: '/file', in: 'body', message }]
    })
  if (!isAbsolute(file)) throw refuse('give an absolute path')
  if (!statSync(dirname(file), { throwIfNoEntry: false })?.isDirectory())
    throw refuse('its folder does not exist')
  if (existsSync(file)) throw refuse('the file exists already, and a backup never replaces one')
}

/** In a thread: reading the whole copy through would hold up the service. */
async function markAndCheck(mark: BackupMark): Promise<void> {
  const worker = new Worker(new URL('./backup-mark.ts', import.meta.url), { workerData: mark })
  const [exitCode] = await once(worker, 'exit')
  if (exitCode !== 0) throw new Error(`the check ended with ${String(exitCode)}`)
}

function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
