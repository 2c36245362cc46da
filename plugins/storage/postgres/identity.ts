import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sql, type Kysely } from 'kysely'
import type { Log } from '../log.ts'
import { createSettingWriter } from '../repositories/settings.ts'
import type { Tables } from '../tables.ts'

/** Which cluster, database and table this is: a dump that was restored has another. */
const tablesId = sql<{ id: string }>`
  select concat_ws('/',
    case when has_function_privilege('pg_control_system()', 'execute')
      then (select system_identifier::text from pg_control_system()) end,
    (select oid::text from pg_database where datname = current_database()),
    'settings'::regclass::oid::text) as id`

/**
 * Finds out at the start, in the transaction that brings the schema up to date, whether the database is the one that it
 * was, and sets what the scheduler looks for: `restored` where it came out of a dump, so that nothing runs by itself
 * what may have run since; `moved` where the service has another data directory than before: what ran out of the old one
 * cannot be found here, and may still run there.
 */
export async function checkIdentity(
  db: Kysely<Tables>,
  { dataDir, place, now, log }: { dataDir: string; place: string; now: number; log: Log }
): Promise<void> {
  const settings = createSettingWriter(db)
  const found = (await tablesId.execute(db)).rows[0]!.id
  const known = await settings.get('tables-id')
  if (known !== null && known !== found) {
    log.warn({ place }, 'this database was restored from a dump, or moved: nothing runs until it is told to')
    await settings.set('restored', JSON.stringify({ at: now, from: place }))
  }
  if (known !== found) await settings.set('tables-id', found)

  const file = join(dataDir, 'directory-id')
  const kept = existsSync(file) ? readFileSync(file, 'utf8').trim() : null
  const own = kept ?? randomUUID()
  const before = await settings.get('directory-id')
  if (before !== null && before !== own) {
    log.warn(
      { dataDir },
      'this service had another data directory before: what ran out of that one is given up'
    )
    await settings.set('moved', JSON.stringify({ at: now }))
  }
  if (before !== own) await settings.set('directory-id', own)
  if (kept !== null) return
  writeFileSync(`${file}.part`, `${own}\n`, { mode: 0o600 })
  renameSync(`${file}.part`, file)
}
