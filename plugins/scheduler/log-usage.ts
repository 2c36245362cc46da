import type { Clock } from '../../src/contracts/clock.ts'
import type { JobReader } from '../../src/contracts/storage.ts'
import type { AppliedQuota, Rules } from '../../src/domain/policy.ts'

/** What was read from the storage is read again after this long: other things remove logs too. */
const freshMs = 60_000

interface Kept {
  total: number
  byToken: Map<string, number>
  readAt: number
  /** Something was added while it was read: it may count twice, so it is read again soon. */
  isDoubtful: boolean
  reading: Promise<void> | null
  /** What was added since the reading began. */
  added: { token: string; bytes: number }[]
}

function count(kept: Kept, token: string, bytes: number): void {
  kept.total += bytes
  kept.byToken.set(token, (kept.byToken.get(token) ?? 0) + bytes)
}

/** What `job.logBytes` and the quotas leave for the next bytes of output. */
export interface Room {
  bytes: number
  policy: string
}

/**
 * How much output the logs of a tenant keep. The truth is the storage's sum; in memory it is kept up to date with what
 * is added here and read again once in a while, and is never less than the truth by what this service does.
 */
export function createLogUsage(jobs: Pick<JobReader, 'logUsage'>, clock: Clock) {
  const tenants = new Map<string, Kept>()

  async function read(tenant: string, kept: Kept): Promise<void> {
    const readAt = clock.now()
    kept.added = []
    const rows = await jobs.logUsage(tenant)
    const { added } = kept
    Object.assign(kept, { total: 0, byToken: new Map(), readAt, added: [] })
    for (const { token, bytes } of [...rows, ...added]) count(kept, token, bytes)
    kept.isDoubtful = added.length > 0
  }

  return {
    /** Whether any of the rules bounds logs: only then is anything counted. */
    isBounded: ({ quotas }: Rules): boolean => quotas.some(({ logBytes }) => logBytes !== null),

    /** Reads the storage's sum where it is not known or old. */
    async load(tenant: string): Promise<void> {
      let kept = tenants.get(tenant)
      if (kept === undefined)
        tenants.set(
          tenant,
          (kept = {
            total: 0,
            byToken: new Map(),
            readAt: -Infinity,
            isDoubtful: false,
            reading: null,
            added: []
          })
        )
      if (!kept.isDoubtful && clock.now() - kept.readAt < freshMs) return
      const known = kept
      kept.reading ??= read(tenant, kept).finally(() => (known.reading = null))
      await kept.reading
    },

    of(per: AppliedQuota['per'], tenant: string, token: string): number {
      const kept = tenants.get(tenant)
      return (per === 'tenant' ? kept?.total : kept?.byToken.get(token)) ?? 0
    },

    /** Output that is about to be stored, or (negative) was not after all. */
    add(tenant: string, token: string, bytes: number): void {
      const kept = tenants.get(tenant)
      if (kept === undefined) return
      count(kept, token, bytes)
      if (kept.reading !== null) kept.added.push({ token, bytes })
    },

    /** What the quotas leave; null where none bounds logs. */
    room({ quotas }: Rules, tenant: string, token: string): Room | null {
      let least: Room | null = null
      for (const { policy, per, logBytes } of quotas) {
        if (logBytes === null) continue
        const bytes = Math.max(0, logBytes - this.of(per, tenant, token))
        if (least === null || bytes < least.bytes) least = { bytes, policy }
      }
      return least
    },

    /** Logs were removed: the storage is asked again before the next use. */
    forget(): void {
      for (const kept of tenants.values()) kept.readAt = -Infinity
    }
  }
}
