import { sql, type Kysely, type Selectable } from 'kysely'
import type { Lease, LeaseReader, LeaseWriter } from '../../../src/contracts/storage.ts'
import type { Tables } from '../tables.ts'

const nobody = ''

export function createLeaseReader(db: Kysely<Tables>): LeaseReader {
  return {
    async find(name) {
      const row = await db
        .selectFrom('leases')
        .selectAll()
        .where('name', '=', name)
        .where('holder', '!=', nobody)
        .executeTakeFirst()
      return row === undefined ? null : toLease(row)
    }
  }
}

export function createLeaseWriter(db: Kysely<Tables>): LeaseWriter {
  return {
    async claim(name, holder, now, ttlMs) {
      // One statement, so that two claimants on one database cannot both win.
      const row = await db
        .insertInto('leases')
        .values({ name, holder, token: 1, expires_at: now + ttlMs })
        .onConflict((conflict) =>
          conflict
            .column('name')
            .doUpdateSet((eb) => ({
              holder: eb.ref('excluded.holder'),
              expires_at: eb.ref('excluded.expires_at'),
              token: sql<number>`leases.token + case when leases.holder = excluded.holder then 0 else 1 end`
            }))
            .where((eb) =>
              eb.or([eb('leases.holder', 'in', [holder, nobody]), eb('leases.expires_at', '<=', now)])
            )
        )
        .returningAll()
        .executeTakeFirst()
      return row === undefined ? null : toLease(row)
    },
    async release(name, holder) {
      const { numUpdatedRows } = await db
        .updateTable('leases')
        .set({ holder: nobody, expires_at: 0 })
        .where('name', '=', name)
        .where('holder', '=', holder)
        .executeTakeFirstOrThrow()
      return numUpdatedRows === 1n
    }
  }
}

const toLease = ({ name, holder, token, expires_at }: Selectable<Tables['leases']>): Lease => ({
  name,
  holder,
  token,
  expiresAt: expires_at
})
