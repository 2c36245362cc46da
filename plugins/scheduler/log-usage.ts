import type { Clock } from '../../src/contracts/clock.ts'
import type { JobReader } from '../../src/contracts/storage.ts'
import type { AppliedQuota, Rules } from '../../src/domain/policy.ts'

/** What was read from the storage is read again after this long: other things remove logs too. */
const freshMs = 60_000

/** Bytes by token; the tenant's are their sum. */
class Amounts {
  total = 0
  readonly byToken = new Map<string, number>()

  add(token: string, bytes: number): void {
    this.total += bytes
    this.byToken.set(token, (this.byToken.get(token) ?? 0) + bytes)
  }
}

interface Kept {
  stored: Amounts
  /** On its way into the storage. */
  pending: Amounts
  readAt: number
  /** Output was stored while the sum was read: it may count twice, so it is read again soon. */
  isDoubtful: boolean
  reading: Promise<void> | null
  storedMeanwhile: { token: string; bytes: number }[]
}

/**
 * How much output the logs of a tenant keep. The truth is the storage's sum; in memory it is kept up to date with what
 * is stored here and read again once in a while, and is never less than the truth by what this service does.
 */
export function createLogUsage(jobs: Pick<JobReader, 'logUsage'>, clock: Clock) {
  const tenants = new Map<string, Kept>()

  function keptOf(tenant: string): Kept {
    let kept = tenants.get(tenant)
    if (kept === undefined) {
      kept = {
        stored: new Amounts(),
        pending: new Amounts(),
        readAt: -Infinity,
        isDoubtful: false,
        reading: null,
        storedMeanwhile: []
      }
      tenants.set(tenant, kept)
    }
    return kept
  }

  async function read(tenant: string, kept: Kept): Promise<void> {
    const readAt = clock.now()
    kept.storedMeanwhile = []
    const stored = new Amounts()
    for (const { token, bytes } of await jobs.logUsage(tenant)) stored.add(token, bytes)
    for (const { token, bytes } of kept.storedMeanwhile) stored.add(token, bytes)
    Object.assign(kept, { stored, readAt, isDoubtful: kept.storedMeanwhile.length > 0 })
  }

  return {
    /** Whether any of the rules bounds logs: only then is anything counted. */
    isBounded: ({ quotas }: Rules): boolean => quotas.some(({ logBytes }) => logBytes !== null),

    /** Reads the storage's sum where it is not known or old. */
    async load(tenant: string): Promise<void> {
      const kept = keptOf(tenant)
      if (!kept.isDoubtful && clock.now() - kept.readAt < freshMs) return
      kept.reading ??= read(tenant, kept).finally(() => (kept.reading = null))
      await kept.reading
    },

    of(per: AppliedQuota['per'], tenant: string, token: string): number {
      const kept = tenants.get(tenant)
      if (kept === undefined) return 0
      const { stored, pending } = kept
      if (per === 'tenant') return stored.total + pending.total
      return (stored.byToken.get(token) ?? 0) + (pending.byToken.get(token) ?? 0)
    },

    /** Counts output that is about to be stored; the answer is to be told whether it was. */
    reserve(tenant: string, token: string, bytes: number): (isStored: boolean) => void {
      const kept = keptOf(tenant)
      kept.pending.add(token, bytes)
      return (isStored) => {
        kept.pending.add(token, -bytes)
        if (!isStored) return
        kept.stored.add(token, bytes)
        if (kept.reading !== null) kept.storedMeanwhile.push({ token, bytes })
      }
    },

    /** Bytes that the quotas leave; Infinity where none bounds logs. */
    room({ quotas }: Rules, tenant: string, token: string): number {
      let least = Infinity
      for (const { per, logBytes } of quotas)
        if (logBytes !== null) least = Math.min(least, Math.max(0, logBytes - this.of(per, tenant, token)))
      return least
    },

    /** Logs were removed: the storage is asked again before the next use. */
    forget(): void {
      for (const kept of tenants.values()) kept.readAt = -Infinity
    }
  }
}
