/** What a person can do about it, by the first words of SQLite's code. */
const remedies = [
  [
    'SQLITE_FULL',
    'has no room left',
    'Free space on its disk or purge finished jobs; writes go on by themselves then'
  ],
  [
    'SQLITE_READONLY',
    'cannot be written',
    'See that its disk is mounted for writing and that its files belong to the user of Roost'
  ],
  [
    'SQLITE_IOERR',
    'met an error of the disk',
    'See the log of the kernel and the health of the disk; Roost tries again with the next write'
  ],
  [
    'SQLITE_CORRUPT',
    'is damaged',
    'Stop Roost, keep a copy of its files and put a backup (roost backup) in their place'
  ],
  [
    'SQLITE_NOTADB',
    'is damaged or no SQLite database',
    'Stop Roost, keep a copy of its files and put a backup (roost backup) in their place'
  ],
  ['SQLITE_CANTOPEN', 'cannot be opened', 'See that its folder is there and belongs to the user of Roost'],
  ['SQLITE_BUSY', 'is locked by another program', 'End the program that has it open for writing'],
  ['SQLITE_PERM', 'may not be opened', 'See that its files belong to the user of Roost'],
  ['SQLITE_NOMEM', 'could not get memory', 'See what uses the memory of this machine']
] as const

/** SQLite's code of an error, or null where it is none of SQLite's. */
export function sqliteCode(error: unknown): string | null {
  return error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    error.code.startsWith('SQLITE_')
    ? error.code
    : null
}

/** What happened to `file` and what to do, where the error is a fault of the storage itself and not of one statement. */
export function describeFault(error: unknown, file: string): string | null {
  const code = sqliteCode(error)
  const remedy = remedies.find(([prefix]) => code?.startsWith(prefix))
  if (remedy === undefined) return null
  return `The database ${file} ${remedy[1]} (${code}). ${remedy[2]}.`
}
