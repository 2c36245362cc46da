import { createHmac, randomBytes } from 'node:crypto'
import type { Clock } from '../../src/contracts/clock.ts'
import type { IdempotencyRecord, Storage, Transaction } from '../../src/contracts/storage.ts'
import { RoostError, UniqueViolation } from '../../src/errors.ts'
import { canonicalJson } from '../../src/json.ts'
import type { Job, JobSpec } from '../../src/schemas/job.ts'

/** A twin waits this long for the request that came before it. */
const twinWaitMs = 5_000

export interface Submitted {
  job: Job
  /** True where the answer is that of an earlier request. */
  replayed: boolean
  /** What the reply tells besides, such as how many submissions are left; null where there is nothing. */
  headers?: Record<string, string> | null
}

/** Stores the key beside the job, in the transaction that accepts it. */
export type KeepKey = (tx: Transaction, job: Job, now: number) => Promise<void>

/** A request under way. */
interface InFlight {
  bodyHash: string
  answer: Promise<Submitted>
}

export interface IdempotencyOptions {
  storage: Pick<Storage, 'idempotency'>
  clock: Clock
  /** Bodies are kept as HMAC-SHA-256 under this key, so that the database does not tell them. */
  bodyKey: Buffer
}

/**
 * The Idempotency-Key of design §2. A key belongs to its tenant and stands for one body. Only an accepted job is kept,
 * in its own transaction: a refusal may be tried again under the same key.
 */
export function createIdempotency({ storage, clock, bodyKey }: IdempotencyOptions) {
  /** By tenant and key. */
  const inFlight = new Map<string, InFlight>()

  const replayOf = ({ bodyHash, response }: IdempotencyRecord, asked: string): Submitted => {
    if (bodyHash !== asked) throw mismatch()
    return { job: JSON.parse(response) as Job, replayed: true }
  }

  async function acceptOrReplay(
    tenant: string,
    key: string,
    bodyHash: string,
    accept: (keep: KeepKey) => Promise<Submitted>
  ): Promise<Submitted> {
    // A replay is answered even where a new job would be refused now.
    const earlier = await storage.idempotency.find(tenant, key)
    if (earlier !== null) return replayOf(earlier, bodyHash)
    try {
      return await accept(async (tx, job, now) => {
        const response = JSON.stringify(job)
        await tx.idempotency.insert({ tenant, key, bodyHash, jobId: job.id, response, createdAt: now })
      })
    } catch (error) {
      // Another process on this database was first: its job is the answer, and ours was rolled back.
      const winner = error instanceof UniqueViolation ? await storage.idempotency.find(tenant, key) : null
      if (winner === null) throw error
      return replayOf(winner, bodyHash)
    }
  }

  /** The answer of a request under way for the same key; null where it failed, `late` where it takes too long. */
  async function answerOf(
    twin: InFlight,
    bodyHash: string,
    limit: Promise<'late'>
  ): Promise<Submitted | null> {
    const answer = await Promise.race([twin.answer.catch(() => null), limit])
    if (answer === 'late')
      throw new RoostError(
        'idempotency-in-flight',
        'A request with this Idempotency-Key has been at work for 5 s; ask again with the same key for its answer',
        { headers: { 'retry-after': '5' } }
      )
    if (answer === null) return null
    if (twin.bodyHash !== bodyHash) throw mismatch()
    return { job: answer.job, replayed: true }
  }

  /** Null where no twin was accepted: this request may try, and must be in `inFlight` before it waits for anything. */
  async function awaitTwins(name: string, bodyHash: string): Promise<Submitted | null> {
    const limit = timeLimit(clock, twinWaitMs)
    try {
      for (let twin = inFlight.get(name); twin !== undefined; twin = inFlight.get(name)) {
        const answer = await answerOf(twin, bodyHash, limit.over)
        if (answer !== null) return answer
      }
      return null
    } finally {
      limit.cancel()
    }
  }

  return {
    /**
     * Runs `accept` at most once for a tenant's key and replays its answer from then on. Without a key it just runs.
     * Throws `idempotency-mismatch`, `idempotency-in-flight` and what `accept` throws.
     */
    async once(
      tenant: string,
      key: string | undefined,
      spec: JobSpec,
      accept: (keep: KeepKey | null) => Promise<Submitted>
    ): Promise<Submitted> {
      if (key === undefined) return await accept(null)
      const bodyHash = createHmac('sha256', bodyKey).update(identityOf(spec)).digest('hex')
      const name = JSON.stringify([tenant, key])
      // Of several that waited for one that failed, the first to wake goes on and the others wait for it.
      while (inFlight.has(name)) {
        const answer = await awaitTwins(name, bodyHash)
        if (answer !== null) return answer
      }
      const own = { bodyHash, answer: acceptOrReplay(tenant, key, bodyHash, accept) }
      inFlight.set(name, own)
      try {
        return await own.answer
      } finally {
        inFlight.delete(name)
      }
    }
  }
}

/**
 * What makes two bodies the same, as it stands hashed in databases: the spec with the defaults of version 0.1, whose
 * schema filled `timeoutSeconds` in. A default that comes or goes must change nothing here.
 */
const identityOf = (spec: JobSpec): string => canonicalJson({ timeoutSeconds: 3600, ...spec })

const mismatch = (): RoostError =>
  new RoostError(
    'idempotency-mismatch',
    'That Idempotency-Key came with another body before; use a new key for a new job'
  )

function timeLimit(clock: Clock, ms: number): { over: Promise<'late'>; cancel(): void } {
  let timer: { cancel(): void } = { cancel: () => {} }
  const over = new Promise<'late'>((resolve) => (timer = clock.setTimeout(() => resolve('late'), ms)))
  return { over, cancel: () => timer.cancel() }
}

/** The key under which bodies are hashed: made once, kept with the installation. */
export async function openBodyKey(storage: Pick<Storage, 'write'>): Promise<Buffer> {
  return await storage.write(async (tx) => {
    const kept = await tx.settings.get('idempotency-key')
    if (kept !== null) return Buffer.from(kept, 'hex')
    const made = randomBytes(32)
    await tx.settings.set('idempotency-key', made.toString('hex'))
    return made
  })
}
