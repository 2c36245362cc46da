import type { Kysely } from 'kysely'
import type { SecretReader, SecretWriter } from '../../../src/contracts/storage.ts'
import type { Tables } from '../tables.ts'

export function createSecretReader(db: Kysely<Tables>): SecretReader {
  return {
    async find(tenant, name) {
      const row = await db
        .selectFrom('secrets')
        .selectAll()
        .where('tenant', '=', tenant)
        .where('name', '=', name)
        .executeTakeFirst()
      return row === undefined ? null : { tenant, name, sealed: row.sealed, updatedAt: row.updated_at }
    },
    async list(tenant) {
      const rows = await db
        .selectFrom('secrets')
        .select(['name', 'updated_at'])
        .where('tenant', '=', tenant)
        .orderBy('name')
        .execute()
      return rows.map(({ name, updated_at }) => ({ tenant, name, updatedAt: updated_at }))
    }
  }
}

export function createSecretWriter(db: Kysely<Tables>): SecretWriter {
  const { find } = createSecretReader(db)
  return {
    find,
    async put({ tenant, name, sealed, updatedAt }) {
      await db
        .insertInto('secrets')
        .values({ tenant, name, sealed, updated_at: updatedAt })
        .onConflict((conflict) =>
          conflict.columns(['tenant', 'name']).doUpdateSet({ sealed, updated_at: updatedAt })
        )
        .execute()
    },
    async remove(tenant, name) {
      const { numDeletedRows } = await db
        .deleteFrom('secrets')
        .where('tenant', '=', tenant)
        .where('name', '=', name)
        .executeTakeFirstOrThrow()
      return numDeletedRows === 1n
    }
  }
}
