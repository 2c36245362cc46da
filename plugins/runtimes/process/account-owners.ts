import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { messageOf } from './attempt-files.ts'

/**
 * Which tenant has which account (uid) of this machine, in a file of the data directory: uids are the machine's, so they
 * do not belong into a storage that several machines may use in turn. Throws where the file is there and not readable.
 */
export function openAccountOwners(file: string) {
  const owners = read(file)

  return {
    file,
    get: (uid: number): string | undefined => owners.get(uid),
    /** On disk when it returns. Throws where it cannot be written; then nothing has changed. */
    keep(uid: number, tenant: string): void {
      if (owners.get(uid) === tenant) return
      write(file, new Map(owners).set(uid, tenant))
      owners.set(uid, tenant)
    }
  }
}

function read(file: string): Map<number, string> {
  try {
    const found: unknown = JSON.parse(readFileSync(file, 'utf8'))
    if (typeof found !== 'object' || found === null || Array.isArray(found)) throw new Error('not an object')
    return new Map(
      Object.entries(found).map(([uid, tenant]): [number, string] => {
        if (!/^\d+$/.test(uid) || typeof tenant !== 'string')
          throw new Error(`"${uid}" is not a uid with the name of a tenant`)
        return [Number(uid), tenant]
      })
    )
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map()
    throw new Error(
      `${file}, which says whose the accounts are, cannot be read (${messageOf(error)}); put it right, or remove it to free all accounts`,
      { cause: error }
    )
  }
}

/** Whole or not at all, also where the machine goes down. */
function write(file: string, owners: ReadonlyMap<number, string>): void {
  const next = `${file}.new`
  const to = openSync(next, 'w', 0o600)
  try {
    writeSync(to, `${JSON.stringify(Object.fromEntries(owners), null, 2)}\n`)
    fsyncSync(to)
  } finally {
    closeSync(to)
  }
  renameSync(next, file)
}
