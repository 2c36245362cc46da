import type { Kysely, Selectable } from 'kysely'
import type { TokenReader, TokenRecord, TokenWriter } from '../../../src/contracts/storage.ts'
import { UniqueViolation } from '../../../src/errors.ts'
import type { Tables } from '../tables.ts'

export function createTokenReader(db: Kysely<Tables>): TokenReader {
  return {
    async findByHash(hash) {
      const row = await db.selectFrom('tokens').selectAll().where('hash', '=', hash).executeTakeFirst()
      return row === undefined ? null : toToken(row)
    },
    async list() {
      const rows = await db.selectFrom('tokens').selectAll().orderBy('created_at').orderBy('id').execute()
      return rows.map(toToken)
    }
  }
}

export function createTokenWriter(db: Kysely<Tables>): TokenWriter {
  return {
    async insert({ id, name, tenant, scopes, hash, createdAt, expiresAt, revokedAt }) {
      const { numInsertedOrUpdatedRows } = await db
        .insertInto('tokens')
        .values({
          id,
          name,
          tenant,
          scopes: JSON.stringify(scopes),
          hash,
          created_at: createdAt,
          expires_at: expiresAt,
          revoked_at: revokedAt
        })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirstOrThrow()
      if (numInsertedOrUpdatedRows !== 1n) throw new UniqueViolation(`Token ${id}`)
    },
    async revoke(id, at) {
      const { numUpdatedRows } = await db
        .updateTable('tokens')
        .set({ revoked_at: at })
        .where('id', '=', id)
        .where('revoked_at', 'is', null)
        .executeTakeFirstOrThrow()
      return numUpdatedRows === 1n
    }
  }
}

function toToken({ id, name, tenant, scopes, hash, ...times }: Selectable<Tables['tokens']>): TokenRecord {
  return {
    id,
    name,
    tenant,
    scopes: JSON.parse(scopes),
    hash,
    createdAt: times.created_at,
    expiresAt: times.expires_at,
    revokedAt: times.revoked_at
  }
}
