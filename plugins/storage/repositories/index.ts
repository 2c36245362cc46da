import type { Kysely } from 'kysely'
import type { Storage, Transaction } from '../../../src/contracts/storage.ts'
import type { Session } from '../session.ts'
import type { Tables } from '../tables.ts'
import { createAgentReader, createAgentWriter } from './agents.ts'
import { createAuditWriter } from './audit-append.ts'
import { createAuditReader } from './audit.ts'
import { createEventReader, createEventWriter } from './events.ts'
import { createIdempotencyReader, createIdempotencyWriter } from './idempotency.ts'
import { createJobReader, createJobWriter } from './jobs.ts'
import { createLeaseReader, createLeaseWriter } from './leases.ts'
import { createSecretReader, createSecretWriter } from './secrets.ts'
import { createSettingReader, createSettingWriter } from './settings.ts'
import { createTokenReader, createTokenWriter } from './tokens.ts'
import { createWebhookReader, createWebhookWriter } from './webhooks.ts'

export type Readers = Pick<Storage, keyof Transaction>

/** The readers of committed state over any dialect. */
export function createReaders(db: Kysely<Tables>): Readers {
  return {
    jobs: createJobReader(db),
    events: createEventReader(db),
    agents: createAgentReader(db),
    audit: createAuditReader(db),
    idempotency: createIdempotencyReader(db),
    tokens: createTokenReader(db),
    leases: createLeaseReader(db),
    secrets: createSecretReader(db),
    settings: createSettingReader(db),
    webhooks: createWebhookReader(db)
  }
}

/** The writers over any dialect, for the transaction that `db` stands in; a dialect may replace single methods. */
export function createWriters(db: Kysely<Tables>, session: Session): Transaction {
  return {
    jobs: createJobWriter(db),
    events: createEventWriter(db, session),
    agents: createAgentWriter(db),
    audit: createAuditWriter(session),
    idempotency: createIdempotencyWriter(db),
    tokens: createTokenWriter(db),
    leases: createLeaseWriter(db),
    secrets: createSecretWriter(db),
    settings: createSettingWriter(db),
    webhooks: createWebhookWriter(db)
  }
}
