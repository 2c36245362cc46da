import { minus, plus, type Amounts } from './amounts.ts'
import { earliestFit, type Reservation, type RoomEnd } from './backfill.ts'
import { fairShares } from './fair-share.ts'
import type { PassInput, PassOutcome } from './pass.ts'
import { chooseVictims, type PreemptionRules } from './preemption.ts'
import type { RunningJob } from './running.ts'
import type { WaitingJob } from './waiting.ts'

/** What a pass would end now for this job, were it the only one that lacks room besides the reserved one. */
export function victimsFor(
  input: Omit<PassInput, 'suits' | 'start'>,
  job: WaitingJob,
  reservation: Reservation | null
): RunningJob[] | null {
  const ends = [...input.running.all()].map(({ endsBy, needs }) => ({ at: endsBy, needs }))
  return findPreemption(input, { free: input.free, ends, reservation, heads: [job] })?.victims ?? null
}

/** The first of `heads` for which ending others makes room without delaying the reserved job. */
export function findPreemption(
  input: Omit<PassInput, 'suits' | 'start'>,
  {
    free,
    ends,
    reservation,
    heads
  }: { free: Amounts; ends: RoomEnd[]; reservation: Reservation | null; heads: WaitingJob[] }
): PassOutcome['preempt'] {
  const { waiting, running, now, rulesFor, total } = input
  let soon = free
  for (const job of running.all())
    if (job.isEnding && !(job.preemptedFor !== null && waiting.pinned().has(job.preemptedFor)))
      soon = plus(soon, job.needs)
  const shares = fairShares(
    new Map(
      [...waiting.tenants().keys(), ...running.tenants()].map((tenant) => [
        tenant,
        rulesFor(tenant, '', null).weight
      ])
    )
  )
  const rules: PreemptionRules = {
    now,
    rulesFor,
    weight: (tenant) => rulesFor(tenant, '', null).weight,
    fairShare: (tenant) => shares.get(tenant) ?? 0,
    heldByTenant: running.heldByTenant,
    total
  }
  for (const job of heads) {
    const victims = chooseVictims(job, running.all(), soon, rules)
    if (victims === null) continue
    if (reservation !== null && reservation.jobId !== job.id) {
      const reserved = waiting.get(reservation.jobId)!
      const room = victims.reduce((sum, victim) => plus(sum, victim.needs), minus(free, job.needs))
      const later = withoutThose(ends, victims)
      const fit = earliestFit(
        reserved.needs,
        room,
        [...later, { at: now + job.longestMs, needs: job.needs }],
        now
      )
      if (fit === null || fit.at > reservation.at) continue
    }
    return { job, victims }
  }
  return null
}

/** The ends of what runs without one for each of the victims. */
function withoutThose(ends: readonly RoomEnd[], victims: readonly RunningJob[]): RoomEnd[] {
  const left = [...ends]
  for (const { endsBy, needs } of victims) {
    const at = left.findIndex((end) => end.at === endsBy && end.needs === needs)
    if (at !== -1) left.splice(at, 1)
  }
  return left
}
