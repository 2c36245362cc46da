import { randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import { auditRecord, type Requester } from '../../src/audit.ts'
import type { Storage, WebhookDelivery } from '../../src/contracts/storage.ts'
import {
  allowsPrivateAddress,
  webhookRefusal,
  type PolicyReader,
  type Rules,
  type Submitter
} from '../../src/domain/policy.ts'
import { readTarget, type WebhookTarget } from '../../src/domain/webhook.ts'
import { RoostError } from '../../src/errors.ts'
import type { JobSpec } from '../../src/schemas/job.ts'
import type { WebhookDelivery as ShownDelivery } from '../../src/schemas/webhook.ts'
import type { Secrets } from '../secrets/index.ts'
import { isPublicAddress } from './addresses.ts'
import { createOutbox, type OutboxOptions, type Tried } from './outbox.ts'
import type { Resolve } from './post.ts'

export interface WebhooksOptions extends Omit<OutboxOptions, 'deliver' | 'storage'> {
  storage: Storage
  secrets: Pick<Secrets, 'resolve' | 'own'>
  policies: Pick<PolicyReader, 'rulesFor'>
  version: string
  /** Default: the system's resolver. */
  resolve?: Resolve
}

export type Webhook = NonNullable<JobSpec['webhook']>

/** From the first look-up to the answer. */
const callTimeoutMs = 10_000
const stopGraceMs = 2_000
const sweepEveryMs = 3_600_000
/** Deliveries that ended can be looked at for so long, unless their job is removed before. */
const keptMs = 7 * 86_400_000

/** Callbacks on the end of jobs: what may be called, the calls, and what came of them. */
export function createWebhooks(options: WebhooksOptions) {
  const { storage, clock, secrets, policies, version, resolve } = options
  const outbox = createOutbox({ ...options, deliver })
  let sweep: { cancel(): void } | null = null

  const newKey = () => `whsec_${randomBytes(32).toString('base64')}`

  async function keysOf(tenant: string, secret: string | null): Promise<string[]> {
    if (secret === null) return [await secrets.own(tenant, 'webhook', newKey)]
    const found = await secrets.resolve(tenant, { key: secret })
    if ('missing' in found) throw new Error(`No secret is named "${secret}" any more`)
    return [found.env['key']!]
  }

  /** One try, under the policies as they are now. What goes wrong is told to the owner of the job, not thrown. */
  async function deliver(delivery: WebhookDelivery, signal: AbortSignal): Promise<Tried> {
    try {
      const rules = policies.rulesFor(delivery.tenant, delivery.submittedBy, delivery.submittedByName)
      const target = readTarget(delivery.url)
      if ('fault' in target) throw new Error(`The URL ${target.fault}`)
      const refusal = targetRefusal(rules, target)
      if (refusal !== null) throw new Error(refusal)
      const keys = await keysOf(delivery.tenant, delivery.secret)
      // Loaded with the first call: who has no webhooks pays nothing for them.
      const [{ post }, { signedHeaders }] = await Promise.all([import('./post.ts'), import('./sign.ts')])
      const now = clock.now()
      const { status, retryAfter } = await post({
        ...target,
        body: delivery.body,
        headers: {
          'content-type': 'application/json',
          'user-agent': `Roost/${version}`,
          ...signedHeaders(delivery.id, now, delivery.body, keys)
        },
        refusalOf: (address) => addressRefusal(rules, address),
        timeoutMs: callTimeoutMs,
        clock,
        signal,
        ...(resolve === undefined ? {} : { resolve })
      })
      return { status, error: statusError(status), retryAfterMs: readRetryAfter(retryAfter, clock.now()) }
    } catch (error) {
      if (signal.aborted) throw error
      return { status: null, error: (error as Error).message, retryAfterMs: null }
    }
  }

  return {
    wake: outbox.wake,

    /** Refuses a webhook that could never be made. Throws `invalid`, `policy-denied`. */
    async require({ url, secret }: Webhook, { tenant, token, tokenName }: Submitter): Promise<void> {
      const target = readTarget(url)
      if ('fault' in target) throw invalid('/webhook/url', target.fault)
      const rules = policies.rulesFor(tenant, token, tokenName)
      const refusal =
        targetRefusal(rules, target) ?? (isIP(target.host) === 0 ? null : addressRefusal(rules, target.host))
      if (refusal !== null) throw new RoostError('policy-denied', `The webhook is refused: ${refusal}`)
      if (secret !== undefined && 'missing' in (await secrets.resolve(tenant, { key: secret })))
        throw invalid('/webhook/secret', `names no secret; make it with: roost secret set ${secret}`)
    },

    /** The calls of a job, oldest first. The caller has looked whether the job may be seen. */
    async list(jobId: string): Promise<ShownDelivery[]> {
      return (await storage.webhooks.listByJob(jobId)).map(toShown)
    },

    /** The key that signs what names no secret of its own; made at its first use. That it was read is in the audit. */
    async readSecret(tenant: string, by: Requester): Promise<string> {
      const [key] = await keysOf(tenant, null)
      await storage.write((tx) =>
        tx.audit.append(auditRecord(by, clock.now(), 'webhook.secret.read', 'webhook', { tenant }))
      )
      return key!
    },

    async start(): Promise<void> {
      const arm = () => {
        sweep = clock.setTimeout(() => {
          arm()
          storage
            .write((tx) => tx.webhooks.prune(clock.now() - keptMs))
            .catch((error: unknown) =>
              options.log.warn({ err: error }, 'old webhooks were not removed; tried again in an hour')
            )
        }, sweepEveryMs)
      }
      arm()
      await outbox.start()
    },

    async stop(): Promise<void> {
      sweep?.cancel()
      await outbox.stop(stopGraceMs)
    }
  }
}

export type Webhooks = ReturnType<typeof createWebhooks>

const invalid = (pointer: string, message: string): RoostError =>
  new RoostError('invalid', `${pointer} ${message}`, { errors: [{ in: 'body', pointer, message }] })

const targetRefusal = (rules: Rules, { url, host }: WebhookTarget): string | null =>
  webhookRefusal(rules, host, url.protocol === 'http:')

const addressRefusal = (rules: Rules, address: string): string | null =>
  isPublicAddress(address) || allowsPrivateAddress(rules, address)
    ? null
    : `${address} is no public address; a policy must name it in webhooks.addresses`

function statusError(status: number): string | null {
  if (status >= 200 && status < 300) return null
  if (status === 410) return 'The receiver wants no more calls (410)'
  if (status >= 300 && status < 400) return `Redirects are not followed (${status}); name the right URL`
  return `The receiver answered ${status}`
}

/** Seconds or a date; null where it is neither. */
function readRetryAfter(text: string | null, now: number): number | null {
  if (text === null) return null
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const at = Date.parse(text)
  return Number.isNaN(at) ? null : Math.max(0, at - now)
}

function toShown(delivery: WebhookDelivery): ShownDelivery {
  const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())
  return {
    id: delivery.id,
    type: delivery.type,
    url: delivery.url,
    state: delivery.state,
    attempts: delivery.attempts,
    nextAttemptAt: iso(delivery.nextAt),
    lastAttemptAt: iso(delivery.lastAt),
    lastStatus: delivery.lastStatus,
    lastError: delivery.lastError,
    createdAt: new Date(delivery.createdAt).toISOString(),
    endedAt: iso(delivery.endedAt)
  }
}
