import { evictionRefusal, type Rules } from '../policy.ts'
import { fits, minus, plus, type Amounts } from './amounts.ts'
import { dominantShare } from './fair-share.ts'
import type { RunningJob } from './running.ts'

/** What decides who may be ended for whom. */
export interface PreemptionRules {
  now: number
  /** Of one token; of the tenant as such for the token ''. */
  rulesFor(tenant: string, token: string, tokenName: string | null): Rules
  weight(tenant: string): number
  /** The part of the node that is this tenant's while all that are there want more, 0 to 1. */
  fairShare(tenant: string): number
  heldByTenant(tenant: string): Amounts
  total: Amounts
}

export interface Preemptor {
  id: string
  tenant: string
  priority: number
  needs: Amounts
  preemptedBy: readonly string[]
}

/**
 * The attempts to end so that `job` can start, the fewest and least important; null where no choice of them would make
 * it start. `free` is what it could have without them.
 *
 * - Within a tenant a job ends those of lower priority (as submitted: ageing gives a turn, not the right to end others).
 * - Between tenants a job of one that is below its fair share ends those of a tenant that is above, and only while its
 *   own would still have less than that one had: each preemption brings the two closer, so they cannot go round in a
 *   circle.
 * - Never: a job that is not preemptible, that policy protects (by its label, its time so far, or because it was preempted
 *   as often as may be), that is ending already, or that `job` was itself ended for.
 */
export function chooseVictims(
  job: Preemptor,
  running: Iterable<RunningJob>,
  free: Amounts,
  rules: PreemptionRules
): RunningJob[] | null {
  if (fits(job.needs, free)) return null
  /** Of a tenant that has lost the victims chosen so far. */
  const held = (tenant: string, chosen: readonly RunningJob[]): Amounts => {
    let left = rules.heldByTenant(tenant)
    for (const victim of chosen) if (victim.tenant === tenant) left = minus(left, victim.needs)
    return left
  }
  const share = (tenant: string, amounts: Amounts) => dominantShare(amounts, rules.total)
  const own = rules.heldByTenant(job.tenant)
  const isBelow = share(job.tenant, own) < rules.fairShare(job.tenant)
  const shareAfter = share(job.tenant, plus(own, job.needs)) / rules.weight(job.tenant)

  function mayEnd(victim: RunningJob, chosen: readonly RunningJob[]): boolean {
    if (!victim.preemptible || victim.isEnding || job.preemptedBy.includes(victim.id)) return false
    const theirRules = rules.rulesFor(victim.tenant, victim.token, victim.tokenName)
    if (victim.preemptions >= theirRules.preemption.maxPerJob) return false
    if (evictionRefusal(theirRules, victim, (rules.now - victim.startedAt) / 1000) !== null) return false
    if (victim.tenant === job.tenant) return victim.priority < job.priority
    if (!isBelow) return false
    const theirs = share(victim.tenant, held(victim.tenant, chosen))
    return theirs > rules.fairShare(victim.tenant) && shareAfter < theirs / rules.weight(victim.tenant)
  }

  const candidates = [...running].filter((victim) => mayEnd(victim, [])).sort(leastLossFirst)
  const alone = candidates.find((victim) => fits(job.needs, plus(free, victim.needs)))
  if (alone !== undefined) return [alone]
  const chosen: RunningJob[] = []
  let room = free
  for (const victim of candidates) {
    // Asked again: its tenant may have come down to its fair share by those chosen before it.
    if (!mayEnd(victim, chosen)) continue
    chosen.push(victim)
    room = plus(room, victim.needs)
    if (fits(job.needs, room)) return withoutNeedless(job.needs, free, chosen)
  }
  return null
}

/** The least important first, among equals the one that has done the least. */
const leastLossFirst = (a: RunningJob, b: RunningJob): number =>
  a.priority - b.priority || b.startedAt - a.startedAt || (a.id < b.id ? 1 : -1)

/** Without those whose room is not needed, the most important of them first. */
function withoutNeedless(needs: Amounts, free: Amounts, chosen: readonly RunningJob[]): RunningJob[] {
  let kept = [...chosen]
  for (const victim of chosen.toReversed()) {
    const others = kept.filter((other) => other !== victim)
    const room = others.reduce((sum, other) => plus(sum, other.needs), free)
    if (fits(needs, room)) kept = others
  }
  return kept
}

/** When the next attempt has run as long as policy lets it before it may be preempted; null where none is waited for. */
export function nextPreemptible(
  running: Iterable<RunningJob>,
  { now, rulesFor }: Pick<PreemptionRules, 'now' | 'rulesFor'>
): number | null {
  let next: number | null = null
  for (const { preemptible, tenant, token, tokenName, startedAt } of running) {
    if (!preemptible) continue
    for (const { minRunSeconds } of rulesFor(tenant, token, tokenName).eviction) {
      const at = startedAt + minRunSeconds * 1000
      if (at > now && (next === null || at < next)) next = at
    }
  }
  return next
}
