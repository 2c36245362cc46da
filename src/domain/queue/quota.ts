import type { AppliedQuota } from '../policy.ts'
import { formatCpu, formatMemory } from '../quantity.ts'
import { amountNames, type AmountName, type Amounts } from './amounts.ts'
import type { Running } from './running.ts'

/** A quota that a job would exceed if it started now. */
export interface OverQuota {
  policy: string
  per: AppliedQuota['per']
  amount: AmountName
  /** What may be there at one time. */
  bound: number
  /** What is there now. */
  present: number
  needed: number
}

/** What attempts that are not over hold, of the tenant and of the token of the job in question. */
export interface HeldBy {
  tenant: Amounts
  token: Amounts
}

/** Every quota that the job would exceed if it started now, one entry for each amount. */
export function overQuotas(quotas: readonly AppliedQuota[], held: HeldBy, needs: Amounts): OverQuota[] {
  const over: OverQuota[] = []
  for (const quota of quotas) {
    const bounds = boundsOf(quota)
    for (const amount of amountNames) {
      const bound = bounds[amount]
      const present = held[quota.per][amount]
      if (bound !== null && needs[amount] > 0 && present + needs[amount] > bound)
        over.push({ policy: quota.policy, per: quota.per, amount, bound, present, needed: needs[amount] })
    }
  }
  return over
}

/**
 * The quota that keeps the job from starting: one that it can never be within, else the first that it would exceed; null
 * where it may start as far as quotas go.
 */
export function overQuota(quotas: readonly AppliedQuota[], held: HeldBy, needs: Amounts): OverQuota | null {
  const over = overQuotas(quotas, held, needs)
  return over.find((each) => !isWithinBound(each)) ?? over[0] ?? null
}

/** What the tenant and the token of a job hold now. */
export const heldBy = (running: Running, { tenant, token }: { tenant: string; token: string }): HeldBy => ({
  tenant: running.heldByTenant(tenant),
  token: running.heldByToken(tenant, token)
})

/** Whether it could start once nothing else of its tenant or token runs. */
export const isWithinBound = ({ needed, bound }: OverQuota): boolean => needed <= bound

const boundsOf = (quota: AppliedQuota): Record<AmountName, number | null> => ({
  // A hair more, as cores of a policy are fractions: 0.3 is 300 millicores, not 299.99.
  millicores: quota.cpu === null ? null : Math.floor(quota.cpu * 1000 + 1e-6),
  memoryBytes: quota.memoryBytes,
  gpu: quota.gpu,
  slots: quota.running
})

/** For people: which policy, what it allows, what is there now. */
export function describeOverQuota({ policy, per, amount, bound, present, needed }: OverQuota): string {
  const say = says[amount]
  const whose = per === 'token' ? 'the token that submitted it' : 'its tenant'
  const never = needed > bound ? '; it never starts while that policy stands' : ''
  return `Policy "${policy}" allows ${whose} ${say(bound, 'down')} at one time; ${say(present, 'up')} in use, and it needs ${say(needed, 'up')}${never}`
}

const says: Record<AmountName, (value: number, rounding: 'up' | 'down') => string> = {
  millicores: (value, rounding) =>
    `${formatCpu(value / 1000, rounding)} ${value === 1000 ? 'core' : 'cores'}`,
  memoryBytes: (value, rounding) => `${formatMemory(value, rounding)} of memory`,
  gpu: (value) => `${value} ${value === 1 ? 'GPU' : 'GPUs'}`,
  slots: (value) => `${value} running ${value === 1 ? 'job' : 'jobs'}`
}
