import type { Kysely } from 'kysely'
import type { IdempotencyReader, IdempotencyWriter } from '../../../src/contracts/storage.ts'
import { UniqueViolation } from '../../../src/errors.ts'
import type { Tables } from '../tables.ts'

export function createIdempotencyReader(db: Kysely<Tables>): IdempotencyReader {
  return {
    async find(tenant, key) {
      const row = await db
        .selectFrom('idempotency')
        .selectAll()
        .where('tenant', '=', tenant)
        .where('key', '=', key)
        .executeTakeFirst()
      if (row === undefined) return null
      return {
        tenant,
        key,
        bodyHash: row.body_hash,
        jobId: row.job_id,
        response: row.response,
        createdAt: row.created_at
      }
    }
  }
}

export function createIdempotencyWriter(db: Kysely<Tables>): IdempotencyWriter {
  return {
    ...createIdempotencyReader(db),
    async insert({ tenant, key, bodyHash, jobId, response, createdAt }) {
      const { numInsertedOrUpdatedRows } = await db
        .insertInto('idempotency')
        .values({ tenant, key, body_hash: bodyHash, job_id: jobId, response, created_at: createdAt })
        .onConflict((conflict) => conflict.columns(['tenant', 'key']).doNothing())
        .executeTakeFirstOrThrow()
      if (numInsertedOrUpdatedRows !== 1n)
        throw new UniqueViolation(`Idempotency-Key ${key} of tenant ${tenant}`)
    },
    async prune(createdBefore) {
      const { numDeletedRows } = await db
        .deleteFrom('idempotency')
        .where('created_at', '<', createdBefore)
        .executeTakeFirstOrThrow()
      return Number(numDeletedRows)
    }
  }
}
