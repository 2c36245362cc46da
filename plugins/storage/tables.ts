import type { Generated } from 'kysely'
import type { Agent, WebhookDelivery } from '../../src/contracts/storage.ts'
import type { AttemptState, JobState } from '../../src/schemas/job.ts'

/*
 * The tables as Kysely sees them, the same in every dialect. Times are integer milliseconds since the epoch, truth
 * values are 0 or 1, columns that hold JSON are text.
 */
export interface Tables {
  schema_version: { version: number; name: string; applied_at: number }
  jobs: JobTable
  attempts: AttemptTable
  job_labels: { key: string; value: string; job_id: string }
  job_dependencies: { depends_on: string; job_id: string }
  /** `key` is the job's number and the frame's seq in one (repositories/event-keys.ts). */
  events: { key: number; type: 'status' | 'log' | 'result' | 'error'; json: string }
  agents: {
    id: string
    name: string
    kind: Agent['kind']
    local: number
    state: Agent['state']
    facts: string
    seen_at: number
  }
  audit: AuditTable
  /** Leads from a tenant, action, actor or subject to the entries that speak of it; no part of the chain. */
  audit_index: { kind: 'tenant' | 'action' | 'actor' | 'subject'; value: string; seq: number }
  idempotency: {
    tenant: string
    key: string
    body_hash: string
    job_id: string
    response: string
    created_at: number
  }
  tokens: {
    id: string
    name: string
    tenant: string
    scopes: string
    hash: string
    created_at: number
    expires_at: number | null
    revoked_at: number | null
    last_used_at: number | null
  }
  /** A released lease keeps its row with an empty holder, so that its token never goes back. */
  leases: { name: string; holder: string; token: number; expires_at: number }
  secrets: { tenant: string; name: string; sealed: string; updated_at: number }
  settings: { key: string; value: string }
  webhook_deliveries: WebhookTable
}

/** A call to be made because a job ended. While one is being made `next_at` is when it counts as not made. */
export interface WebhookTable {
  id: string
  job_id: string
  tenant: string
  submitted_by: string
  submitted_by_name: string | null
  url: string
  host: string
  secret: string | null
  type: WebhookDelivery['type']
  body: string
  state: WebhookDelivery['state']
  attempts: number
  next_at: number | null
  /** The node that makes the call now. */
  claimed_by: string | null
  last_at: number | null
  last_status: number | null
  last_error: string | null
  created_at: number
  ended_at: number | null
}

export interface JobTable {
  /** Stands for the job in the keys of its frames; never leaves the storage. */
  number: Generated<number>
  id: string
  tenant: string
  name: string | null
  state: JobState
  /** 1 where the state is a last one; the partial index of unfinished names needs a constant to compare with. */
  finished: number
  reason: string | null
  message: string | null
  node: string | null
  created_at: number
  started_at: number | null
  finished_at: number | null
  not_before: number | null
  /** finished_at plus the time to live; null while unfinished. */
  expires_at: number | null
  last_seq: number
  intent: string | null
  result: string | null
  spec: string
  placement: string | null
  /** Id of the token, or `local`. */
  submitted_by: string
  submitted_by_name: string | null
}

export interface AttemptTable {
  job_id: string
  number: number
  state: AttemptState
  node: string
  runtime: string
  pod: string | null
  exit_code: number | null
  signal: string | null
  reason: string | null
  started_at: number | null
  finished_at: number | null
  cursor: string | null
  gpus: string
  deadline_at: number | null
  preempted_by: string | null
  /** Output kept in the log; owned by `saveCursor`. */
  log_bytes: Generated<number>
}

export interface AuditTable {
  seq: number
  at: number
  actor: string
  tenant: string
  action: string
  subject: string
  request_id: string | null
  /** Null in entries of before migration 003, whose hashes do not cover it, `address` and `client`. */
  actor_name: string | null
  address: string | null
  client: string | null
  /** Canonical JSON. */
  detail: string
  previous_hash: string
  hash: string
}
