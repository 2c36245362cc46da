import type { Clock } from '../../src/contracts/clock.ts'
import type { Storage, WebhookDelivery } from '../../src/contracts/storage.ts'
import { retryDelayMs } from '../../src/domain/webhook.ts'

/** What came of one try. */
export interface Tried {
  status: number | null
  /** Null where it was delivered. */
  error: string | null
  /** How long the receiver asks to be left alone. */
  retryAfterMs: number | null
}

export interface OutboxOptions {
  storage: Pick<Storage, 'write' | 'webhooks'>
  clock: Clock
  /** This node: what it had claimed before a crash it takes up at once. */
  holder: string
  /** Makes one call; never rejects but where the service stops. */
  deliver: (delivery: WebhookDelivery, signal: AbortSignal) => Promise<Tried>
  log: { warn(facts: object, message: string): void }
  /** In [0,1). */
  random?: () => number
  onTried?: (outcome: 'delivered' | 'retried' | 'failed') => void
}

/** Calls at one time. A tenant has no more of them than are still free: whose receivers hang leaves room for the others. */
const mostAtOnce = 64
/** To one host at one time. */
const mostPerHost = 4
const readAtOnce = 200
/** A claim lasts longer than any call. After that somebody else makes it again. */
const claimMs = 60_000
const faultPauseMs = 5_000
const longestError = 500
/** Given by the receiver: do not call again. */
const gone = 410

/**
 * Makes the calls that are due. A delivery stands in the database from the transaction that ended its job until it is
 * delivered or given up; here is only which are under way. Asleep until the next one is due, and without any for good.
 */
export function createOutbox(options: OutboxOptions) {
  const { storage, clock, holder, deliver, log, random = Math.random, onTried = () => {} } = options
  const stopping = new AbortController()
  const perHost = new Map<string, number>()
  const perTenant = new Map<string, number>()
  const underWay = new Set<Promise<void>>()
  let timer: { cancel(): void } | null = null
  let looking: Promise<void> | null = null
  let lookAgain = false
  let isStopping = false

  function wake(): void {
    if (isStopping) return
    lookAgain = true
    looking ??= look().finally(() => {
      looking = null
      if (lookAgain) wake()
    })
  }

  async function look(): Promise<void> {
    timer?.cancel()
    try {
      while (lookAgain && !isStopping) {
        lookAgain = false
        if (await takeDue()) lookAgain = true
      }
      await sleepUntilDue()
    } catch (error) {
      log.warn({ err: error }, 'webhooks could not be read or claimed; tried again soon')
      sleep(faultPauseMs)
    }
  }

  const room = () => mostAtOnce - underWay.size
  const busy = () => ({ hosts: keysFrom(perHost, mostPerHost), tenants: keysFrom(perTenant, room()) })

  /** Begins what there is room for; false where there was nothing. */
  async function takeDue(): Promise<boolean> {
    const now = clock.now()
    if (room() <= 0) return false
    const [ofHost, ofTenant] = [new Map(perHost), new Map(perTenant)]
    const picked: WebhookDelivery[] = []
    for (const delivery of await storage.webhooks.listDue(now, busy(), readAtOnce)) {
      const { host, tenant } = delivery
      const isBusy =
        (ofHost.get(host) ?? 0) >= mostPerHost || (ofTenant.get(tenant) ?? 0) >= room() - picked.length
      if (isBusy) continue
      count(ofHost, host, 1)
      count(ofTenant, tenant, 1)
      picked.push(delivery)
    }
    if (picked.length === 0) return false
    const ids = picked.map(({ id }) => id)
    const claimed = new Set(await storage.write((tx) => tx.webhooks.claim(ids, holder, now, now + claimMs)))
    for (const delivery of picked) if (claimed.has(delivery.id)) begin(delivery)
    return true
  }

  function begin(delivery: WebhookDelivery): void {
    count(perHost, delivery.host, 1)
    count(perTenant, delivery.tenant, 1)
    const work = attempt(delivery).finally(() => {
      underWay.delete(work)
      count(perHost, delivery.host, -1)
      count(perTenant, delivery.tenant, -1)
      wake()
    })
    underWay.add(work)
  }

  async function attempt(delivery: WebhookDelivery): Promise<void> {
    try {
      const tried = await deliver(delivery, stopping.signal)
      const now = clock.now()
      const attempts = delivery.attempts + 1
      const delayMs =
        tried.error === null || tried.status === gone
          ? null
          : retryDelayMs(attempts, tried.retryAfterMs, random())
      const state = tried.error === null ? 'delivered' : delayMs === null ? 'failed' : 'pending'
      const change = {
        state,
        attempts,
        nextAt: delayMs === null ? null : now + delayMs,
        lastAt: now,
        lastStatus: tried.status,
        lastError: tried.error?.slice(0, longestError) ?? null,
        endedAt: state === 'pending' ? null : now
      } as const
      await storage.write((tx) => tx.webhooks.settle(delivery.id, holder, change))
      onTried(state === 'pending' ? 'retried' : state)
    } catch (error) {
      // Not noted: it is made again when its claim is over, or at the next start, with the same id.
      if (!stopping.signal.aborted)
        log.warn({ err: error, webhookId: delivery.id, jobId: delivery.jobId }, 'a webhook was not noted')
    }
  }

  async function sleepUntilDue(): Promise<void> {
    if (room() <= 0 || isStopping) return
    const next = await storage.webhooks.nextDue(busy())
    if (next !== null) sleep(next - clock.now())
  }

  function sleep(ms: number): void {
    timer?.cancel()
    timer = clock.setTimeout(wake, Math.max(0, ms))
  }

  return {
    wake,

    /** Takes up what an earlier life of this node left. One read where there is nothing. */
    async start(): Promise<void> {
      if ((await storage.webhooks.nextDue({ hosts: [], tenants: [] })) === null) return
      await storage.write((tx) => tx.webhooks.release(holder, clock.now()))
      wake()
    },

    /** Begins nothing more; calls under way get `graceMs` to end and be noted. */
    async stop(graceMs: number): Promise<void> {
      isStopping = true
      await looking
      timer?.cancel()
      const late = clock.setTimeout(() => stopping.abort(new Error('The service stops')), graceMs)
      await Promise.all(underWay)
      late.cancel()
    }
  }
}

const keysFrom = (counts: ReadonlyMap<string, number>, least: number): string[] =>
  [...counts].filter(([, counted]) => counted >= least).map(([key]) => key)

function count(counts: Map<string, number>, key: string, change: 1 | -1): void {
  const counted = (counts.get(key) ?? 0) + change
  if (counted === 0) counts.delete(key)
  else counts.set(key, counted)
}
