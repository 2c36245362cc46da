import type { Kysely, Selectable } from 'kysely'
import type {
  WebhookDelivery,
  WebhookReader,
  WebhooksApart,
  WebhookWriter
} from '../../../src/contracts/storage.ts'
import type { Tables, WebhookTable } from '../tables.ts'

export function createWebhookReader(db: Kysely<Tables>): WebhookReader {
  const pending = ({ hosts, tenants }: WebhooksApart) => {
    let query = db.selectFrom('webhook_deliveries').where('state', '=', 'pending')
    if (hosts.length > 0) query = query.where('host', 'not in', hosts)
    if (tenants.length > 0) query = query.where('tenant', 'not in', tenants)
    return query
  }
  return {
    async listByJob(jobId) {
      const rows = await db
        .selectFrom('webhook_deliveries')
        .selectAll()
        .where('job_id', '=', jobId)
        .orderBy('id')
        .execute()
      return rows.map(toDelivery)
    },
    async listDue(now, except, limit) {
      const rows = await pending(except)
        .selectAll()
        .where('next_at', '<=', now)
        .orderBy('next_at')
        .orderBy('id')
        .limit(limit)
        .execute()
      return rows.map(toDelivery)
    },
    async nextDue(except) {
      const next = await pending(except).select('next_at').orderBy('next_at').limit(1).executeTakeFirst()
      return next?.next_at ?? null
    },
    async countUndelivered() {
      const rows = await db
        .selectFrom('webhook_deliveries')
        .select(['state', (eb) => eb.fn.countAll<number>().as('count')])
        .where('state', 'in', ['pending', 'failed'])
        .groupBy('state')
        .execute()
      const count = (state: string) => Number(rows.find((row) => row.state === state)?.count ?? 0)
      return { pending: count('pending'), failed: count('failed') }
    }
  }
}

export function createWebhookWriter(db: Kysely<Tables>): WebhookWriter {
  return {
    async insert(delivery) {
      await db.insertInto('webhook_deliveries').values(toRow(delivery)).execute()
    },
    async claim(ids, holder, now, until) {
      const rows = await db
        .updateTable('webhook_deliveries')
        .set({ claimed_by: holder, next_at: until })
        .where('id', 'in', ids)
        .where('state', '=', 'pending')
        .where('next_at', '<=', now)
        .returning('id')
        .execute()
      return rows.map(({ id }) => id)
    },
    async release(holder, now) {
      await db
        .updateTable('webhook_deliveries')
        .set({ claimed_by: null, next_at: now })
        .where('claimed_by', '=', holder)
        .where('state', '=', 'pending')
        .execute()
    },
    async settle(id, holder, { state, attempts, nextAt, lastAt, lastStatus, lastError, endedAt }) {
      const { numUpdatedRows } = await db
        .updateTable('webhook_deliveries')
        .set({
          state,
          attempts,
          next_at: nextAt,
          claimed_by: null,
          last_at: lastAt,
          last_status: lastStatus,
          last_error: lastError,
          ended_at: endedAt
        })
        .where('id', '=', id)
        .where('claimed_by', '=', holder)
        .where('state', '=', 'pending')
        .executeTakeFirstOrThrow()
      return numUpdatedRows === 1n
    },
    async prune(endedBefore) {
      const { numDeletedRows } = await db
        .deleteFrom('webhook_deliveries')
        .where('ended_at', '<', endedBefore)
        .executeTakeFirstOrThrow()
      return Number(numDeletedRows)
    }
  }
}

const toRow = (delivery: WebhookDelivery): WebhookTable => ({
  id: delivery.id,
  job_id: delivery.jobId,
  tenant: delivery.tenant,
  submitted_by: delivery.submittedBy,
  submitted_by_name: delivery.submittedByName,
  url: delivery.url,
  host: delivery.host,
  secret: delivery.secret,
  type: delivery.type,
  body: delivery.body,
  state: delivery.state,
  attempts: delivery.attempts,
  next_at: delivery.nextAt,
  claimed_by: null,
  last_at: delivery.lastAt,
  last_status: delivery.lastStatus,
  last_error: delivery.lastError,
  created_at: delivery.createdAt,
  ended_at: delivery.endedAt
})

const toDelivery = (row: Selectable<WebhookTable>): WebhookDelivery => ({
  id: row.id,
  jobId: row.job_id,
  tenant: row.tenant,
  submittedBy: row.submitted_by,
  submittedByName: row.submitted_by_name,
  url: row.url,
  host: row.host,
  secret: row.secret,
  type: row.type,
  body: row.body,
  state: row.state,
  attempts: row.attempts,
  nextAt: row.next_at,
  lastAt: row.last_at,
  lastStatus: row.last_status,
  lastError: row.last_error,
  createdAt: row.created_at,
  endedAt: row.ended_at
})
