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
    async find(id) {
      const row = await db.selectFrom('tokens').selectAll().where('id', '=', id).executeTakeFirst()
      return row === undefined ? null : toToken(row)
    },
    async list({ tenant, active, now, limit, cursor }) {
      let query = db.selectFrom('tokens').selectAll()
      if (tenant !== undefined) query = query.where('tenant', '=', tenant)
      if (cursor !== undefined) query = query.where('id', '<', cursor)
      if (active !== undefined) {
        query = query.where(({ eb, and, or, not }) => {
          const isActive = and([
            eb('revoked_at', 'is', null),
            or([eb('expires_at', 'is', null), eb('expires_at', '>', now)])
          ])
          return active ? isActive : not(isActive)
        })
      }
      const rows = await query
        .orderBy('id', 'desc')
        .limit(limit + 1)
        .execute()
      const items = rows.slice(0, limit).map(toToken)
      return { items, cursor: rows.length > limit ? items.at(-1)!.id : null }
    }
  }
}

export function createTokenWriter(db: Kysely<Tables>): TokenWriter {
  return {
    async insert({ id, name, tenant, scopes, hash, createdAt, expiresAt, revokedAt, lastUsedAt }) {
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
          revoked_at: revokedAt,
          last_used_at: lastUsedAt
        })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirstOrThrow()
      if (numInsertedOrUpdatedRows !== 1n) throw new UniqueViolation(`Token ${id}`)
    },
    async touch(id, lastUsedAt) {
      await db.updateTable('tokens').set({ last_used_at: lastUsedAt }).where('id', '=', id).execute()
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
    revokedAt: times.revoked_at,
    lastUsedAt: times.last_used_at
  }
}
