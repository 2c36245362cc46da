import type { Attempt, JobSpec, JobState, Scope } from '../schemas/job.ts'
import type { FrameBody } from '../schemas/frame.ts'
import type { JobRecord } from '../domain/job-state.ts'

/*
 * The one interface to durable state. Every write happens in `write`, whose promise resolves after the commit is on
 * disk; nothing may leave the process, and no state in memory may advance, before that. Reads outside of `write` see
 * committed state only.
 */
export interface Storage {
  readonly dialect: 'sqlite' | 'postgres'
  /** Readers of committed state. */
  readonly jobs: JobReader
  readonly events: EventReader
  readonly agents: AgentReader
  readonly audit: AuditReader
  readonly idempotency: IdempotencyReader
  readonly tokens: TokenReader
  readonly leases: LeaseReader
  readonly secrets: SecretReader
  readonly settings: SettingReader
  readonly webhooks: WebhookReader
  /**
   * Runs `work` in a transaction of its own as far as its success goes: a throw rolls back this work alone and rejects
   * with that error. Many works share one commit (group commit). Where the commit itself fails, every waiter gets a
   * RoostError `storage-unavailable` and nothing of it is stored (but see `onReread`). `work` must touch nothing but `tx`: it may run
   * again, and it must not wait for anything but `tx`.
   */
  write<T>(work: (tx: Transaction) => Promise<T>): Promise<T>
  /** Called after each commit with the jobs whose log grew. Returns the unsubscribe. */
  onAppended(listener: (grown: ReadonlyMap<string, number>) => void): () => void
  /**
   * Called where a commit whose waiters were told `storage-unavailable` turns out to be stored (its answer was lost with
   * the connection): state in memory must be read again. Returns the unsubscribe.
   */
  onReread(listener: () => void): () => void
  /**
   * Copies the whole database into `file` while everything goes on; the copy starts paused. Throws `not-configured` where
   * the database has a tool of its own for that (Postgres).
   */
  backup(file: string): Promise<{ bytes: number }>
  /** Throws what a backup into `file` would be refused with: `invalid`, `not-configured`. */
  checkBackup(file: string): void
  status(): Promise<StorageStatus>
  close(): Promise<void>
}

export interface StorageStatus {
  dialect: string
  /** False while the disk is full or read-only: writes answer 503, reads go on. */
  writable: boolean
  schemaVersion: number
  bytes: number | null
  message: string | null
}

export interface Transaction {
  readonly jobs: JobWriter
  readonly events: EventWriter
  readonly agents: AgentWriter
  readonly audit: AuditWriter
  readonly idempotency: IdempotencyWriter
  readonly tokens: TokenWriter
  readonly leases: LeaseWriter
  readonly secrets: SecretWriter
  readonly settings: SettingWriter
  readonly webhooks: WebhookWriter
}

export interface Page<T> {
  items: T[]
  cursor: string | null
}

export interface JobFilter {
  tenant?: string
  states?: readonly JobState[]
  /** `key=value`: all must match. */
  labels?: Record<string, string>
  name?: string
  /** Newest first. */
  limit: number
  cursor?: string
}

/** What the queue in memory keeps of a job that has not ended. */
export interface UnfinishedJob {
  id: string
  tenant: string
  state: JobState
  priority: number
  spec: JobSpec
  notBefore: number | null
}

export interface JobReader {
  find(id: string): Promise<JobRecord | null>
  list(filter: JobFilter): Promise<Page<JobRecord>>
  /** Every job that has not ended, oldest first, in pages by id. */
  listUnfinished(afterId: string | null, limit: number): Promise<JobRecord[]>
  findUnfinishedByName(tenant: string, name: string): Promise<JobRecord | null>
  /** States of these jobs of this tenant; ids that do not exist are absent. */
  states(tenant: string, ids: readonly string[]): Promise<Map<string, JobState>>
  /** Ids of unfinished jobs that wait for this one. */
  listDependents(id: string): Promise<string[]>
  /** Finished jobs whose time to live is over at `now`. */
  listExpired(now: number, limit: number): Promise<string[]>
  countByState(): Promise<Record<JobState, number>>
  /** Bytes of output that the logs of the tenant's jobs keep, by the token that submitted them. */
  logUsage(tenant: string): Promise<{ token: string; bytes: number }[]>
}

export interface JobWriter extends Pick<
  JobReader,
  'find' | 'findUnfinishedByName' | 'states' | 'listDependents'
> {
  /** The hot statement. Throws `unique` where the id exists. */
  insert(job: JobRecord): Promise<void>
  /** Writes every changeable member of the job and upserts its attempts; `lastSeq` is owned by `events.append`. */
  update(job: JobRecord): Promise<void>
  /** Stores how far the output of an attempt has been read (the runtime's opaque cursor), and that its log keeps more. */
  saveCursor(id: string, attempt: number, cursor: string, keptBytes: number): Promise<void>
  /** Removes the job with its attempts and events. */
  remove(id: string): Promise<void>
}

export interface StoredFrame {
  seq: number
  /** The frame as it goes over the wire. */
  json: string
  type: 'status' | 'log' | 'result' | 'error'
}

export interface EventReader {
  /** Frames with seq >= from, at most `limit` and about `maxBytes`, in order. */
  read(jobId: string, from: number, limit: number, maxBytes: number): Promise<StoredFrame[]>
  /** seq of the first of the last `count` log frames; lastSeq + 1 where there is none or count is 0. */
  tailStart(jobId: string, count: number): Promise<number>
  lastSeq(jobId: string): Promise<number | null>
}

export interface EventWriter {
  /** The other hot statement: gives each frame the next seq of the job, without holes. Returns the new lastSeq. */
  append(jobId: string, frames: readonly FrameBody[]): Promise<number>
}

export interface Agent {
  id: string
  name: string
  kind: 'node' | 'worker'
  local: boolean
  state: 'ready' | 'draining' | 'drained' | 'unknown' | 'left'
  /** NodeStatus without the live parts, as JSON-able members. */
  facts: Record<string, unknown>
  seenAt: number
}
export interface AgentReader {
  find(id: string): Promise<Agent | null>
  list(): Promise<Agent[]>
}
export interface AgentWriter {
  upsert(agent: Agent): Promise<void>
  remove(id: string): Promise<void>
}

export interface AuditEntry {
  seq: number
  at: number
  /** The id of the token, `local`, or `system`; `*` here and below where the records of an entry differ. */
  actor: string
  /** The name of the token; null in entries of before migration 003. */
  actorName: string | null
  tenant: string
  action: string
  subject: string
  requestId: string | null
  address: string | null
  client: string | null
  detail: Record<string, unknown>
  previousHash: string
  hash: string
}
export type AuditRecord = Omit<AuditEntry, 'seq' | 'previousHash' | 'hash' | 'actorName'> & {
  actorName: string
}
/** An entry that somebody keeps elsewhere: a chain that still holds it was not cut before it. */
export interface AuditAnchor {
  seq: number
  hash: string
}
export interface AuditFilter {
  tenant?: string
  action?: string
  actor?: string
  subject?: string
  /** Milliseconds since the epoch: at or after, and before. */
  since?: number
  until?: number
  /** Newest first. */
  limit: number
  cursor?: string
}
export interface AuditVerdict {
  /** How many entries fit, from the first one on. */
  entries: number
  /** The last entry that fits; null where there is none. */
  head: AuditAnchor | null
  /** The first entry that does not fit and what is wrong with it; null where all do. */
  fault: { seq: number; message: string } | null
  /** Whether the chain, as far as it fits, holds the anchor; null where none was given. */
  anchor: 'found' | 'different' | 'missing' | null
}
export interface AuditReader {
  /** Filters that are given must all fit one record; of an entry only the records that fit are shown. */
  list(filter: AuditFilter): Promise<Page<AuditEntry>>
  /** The newest entry; null in an empty audit. */
  head(): Promise<AuditAnchor | null>
  /** Walks the chain in pages, leaving the event loop to others between them. */
  verify(anchor?: AuditAnchor): Promise<AuditVerdict>
}
/**
 * Entries of one commit are chained as one: the records of all works of a group become the `detail.records` of one
 * entry where there are several, so that the chain costs one hash a commit.
 */
export interface AuditWriter {
  append(record: AuditRecord): Promise<void>
}

export interface IdempotencyRecord {
  tenant: string
  key: string
  bodyHash: string
  jobId: string
  response: string
  createdAt: number
}
export interface IdempotencyReader {
  find(tenant: string, key: string): Promise<IdempotencyRecord | null>
}
export interface IdempotencyWriter extends IdempotencyReader {
  /** Throws `unique` where the key exists. */
  insert(record: IdempotencyRecord): Promise<void>
  prune(createdBefore: number): Promise<number>
}

export interface TokenRecord {
  id: string
  name: string
  tenant: string
  scopes: Scope[]
  /** SHA-256 of the token, hex. */
  hash: string
  createdAt: number
  expiresAt: number | null
  revokedAt: number | null
  /** To about a minute. */
  lastUsedAt: number | null
}
export interface TokenFilter {
  tenant?: string
  /** True: only those that are neither revoked nor expired at `now`; false: only the others. */
  active?: boolean
  now: number
  /** Newest first. */
  limit: number
  cursor?: string
}
export interface TokenReader {
  find(id: string): Promise<TokenRecord | null>
  findByHash(hash: string): Promise<TokenRecord | null>
  list(filter: TokenFilter): Promise<Page<TokenRecord>>
}
export interface TokenWriter {
  insert(token: TokenRecord): Promise<void>
  touch(id: string, lastUsedAt: number): Promise<void>
  revoke(id: string, at: number): Promise<boolean>
}

export interface Lease {
  name: string
  holder: string
  token: number
  expiresAt: number
}
export interface LeaseReader {
  find(name: string): Promise<Lease | null>
}
export interface LeaseWriter {
  /** Takes or renews the lease where it is free, over, or the holder's own; null where another holds it. `token` grows with each change of holder. */
  claim(name: string, holder: string, now: number, ttlMs: number): Promise<Lease | null>
  release(name: string, holder: string): Promise<boolean>
}

/** A secret encrypted under the node's key file: `sealed` is base64 of nonce, tag and cipher text. */
export interface SealedSecret {
  tenant: string
  name: string
  sealed: string
  updatedAt: number
}
export interface SecretReader {
  find(tenant: string, name: string): Promise<SealedSecret | null>
  list(tenant: string): Promise<Omit<SealedSecret, 'sealed'>[]>
}
export interface SecretWriter extends Pick<SecretReader, 'find'> {
  put(secret: SealedSecret): Promise<void>
  remove(tenant: string, name: string): Promise<boolean>
}

/** Small durable facts of this installation, such as its node id, `drain`, and `restored` in a backup. */
export interface SettingReader {
  get(key: string): Promise<string | null>
}
export interface SettingWriter extends SettingReader {
  set(key: string, value: string | null): Promise<void>
}

/** A callback of a job that ended, kept until it is delivered or given up, and then for people to look at. */
export interface WebhookDelivery {
  /** The webhook-id of its requests: the same at every try. */
  id: string
  jobId: string
  tenant: string
  /** The token that submitted the job, and its name: its policies say where the call may go. */
  submittedBy: string
  submittedByName: string | null
  url: string
  host: string
  /** Name of the secret that signs it; null = the tenant's own. */
  secret: string | null
  type: 'job.succeeded' | 'job.failed' | 'job.cancelled'
  /** JSON as it is signed and sent. */
  body: string
  state: 'pending' | 'delivered' | 'failed'
  /** How many were made. */
  attempts: number
  /** When the next one is due; null where there is none. */
  nextAt: number | null
  lastAt: number | null
  lastStatus: number | null
  lastError: string | null
  createdAt: number
  endedAt: number | null
}
/** Deliveries to any of these hosts, and of any of these tenants. */
export interface WebhooksApart {
  hosts: readonly string[]
  tenants: readonly string[]
}
export interface WebhookReader {
  /** Oldest first. */
  listByJob(jobId: string): Promise<WebhookDelivery[]>
  /** Pending ones whose time has come, those due longest first, without those that are `except`. */
  listDue(now: number, except: WebhooksApart, limit: number): Promise<WebhookDelivery[]>
  /** When the next pending one is due; null where there is none. */
  nextDue(except: WebhooksApart): Promise<number | null>
  /** Those that were not delivered: to come, and given up. */
  countUndelivered(): Promise<{ pending: number; failed: number }>
}
export interface WebhookWriter {
  insert(delivery: WebhookDelivery): Promise<void>
  /** Takes those of `ids` that are still due, for `holder`; nobody else takes them before `until`. Returns their ids. */
  claim(ids: readonly string[], holder: string, now: number, until: number): Promise<string[]>
  /** Makes everything that `holder` had claimed due at `now`: of an earlier life of it nothing is under way. */
  release(holder: string, now: number): Promise<void>
  /** Notes what came of a try. False where it is no longer the holder's. */
  settle(
    id: string,
    holder: string,
    change: Pick<
      WebhookDelivery,
      'state' | 'attempts' | 'nextAt' | 'lastAt' | 'lastStatus' | 'lastError' | 'endedAt'
    >
  ): Promise<boolean>
  /** Removes those that ended before a time. */
  prune(endedBefore: number): Promise<number>
}

export type { Attempt }
