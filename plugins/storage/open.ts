import type { Storage } from '../../src/contracts/storage.ts'
import type { Clock } from '../../src/contracts/clock.ts'
import type { Log } from './log.ts'
import type { CommitObserver } from './metrics.ts'

export interface StorageOptions {
  dataDir: string
  /** A URL of another database; its scheme chooses the dialect. Default: SQLite in `dataDir`. */
  databaseUrl?: string
  maxBytes?: number
  clock?: Clock
  log?: Log
  observe?: CommitObserver
}

/** Opens the storage of the dialect that the options choose; only that one's packages are loaded. */
export async function openStorage({ databaseUrl = '', ...options }: StorageOptions): Promise<Storage> {
  if (databaseUrl === '') {
    const { openSqliteStorage } = await import('./sqlite/open.ts')
    return await openSqliteStorage(options)
  }
  const scheme = /^[a-z0-9+.-]+(?=:)/i.exec(databaseUrl)?.[0] ?? 'none'
  if (scheme !== 'postgres' && scheme !== 'postgresql')
    throw new Error(
      `ROOST_DATABASE_URL: there is no storage for the scheme "${scheme}" here. Write postgres://…, or leave it out to use SQLite in the data directory.`
    )
  const { openPostgresStorage } = await import('./postgres/open.ts')
  return await openPostgresStorage({ ...options, databaseUrl })
}
