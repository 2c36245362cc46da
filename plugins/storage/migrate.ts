import { sql, type Kysely } from 'kysely'
import { migrations } from './migrations/index.ts'
import type { Words } from './migrations/migration.ts'
import type { Tables } from './tables.ts'

/** The schema this program was written for. */
export const schemaVersion = migrations.at(-1)!.version

/**
 * Brings the schema to `schemaVersion`. The caller holds the write lock in a transaction and commits; what throws
 * leaves everything as it was. `afterStep` completes each step in the same transaction.
 * @throws Error naming both versions where the database is newer than the program.
 */
export async function migrate(
  db: Kysely<Tables>,
  words: Words,
  place: string,
  now: number,
  afterStep?: () => Promise<void>
): Promise<void> {
  await sql
    .raw(
      `create table if not exists schema_version (version ${words.integer} primary key, name text not null, applied_at ${words.integer} not null)`
    )
    .execute(db)
  const current = await db
    .selectFrom('schema_version')
    .select((eb) => eb.fn.max('version').as('version'))
    .executeTakeFirst()
  const from = Number(current?.version ?? 0)
  if (from > schemaVersion) {
    throw new Error(
      `The database ${place} has schema version ${from}, and this program knows versions up to ${schemaVersion}: ` +
        'a newer Roost has used it. Start that version again, or restore a backup made before the upgrade.'
    )
  }
  for (const migration of migrations.filter(({ version }) => version > from)) {
    for (const statement of migration.statements(words)) await sql.raw(statement).execute(db)
    await afterStep?.()
    await db
      .insertInto('schema_version')
      .values({ version: migration.version, name: migration.name, applied_at: now })
      .execute()
  }
}
