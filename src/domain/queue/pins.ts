import { atLeastNothing, fits, minus, nothing, plus, type Amounts } from './amounts.ts'
import type { RoomEnd } from './backfill.ts'
import type { PassInput } from './pass.ts'
import { heldBy, overQuota } from './quota.ts'

/**
 * Starts jobs that others were ended for; what is still to come for the rest of them is nobody else's. Returns what is
 * free for the others, and the ends of what runs as they matter to them.
 */
export function startPinned(input: PassInput): { free: Amounts; ends: () => RoomEnd[] } {
  const { waiting, running } = input
  let free = input.free
  let held = nothing
  const claims: RoomEnd[] = []
  const claimed = new Set<string>()
  for (const job of waiting.pinned().values()) {
    const rules = input.rulesFor(job.tenant, job.token, job.tokenName)
    if (
      overQuota(rules.quotas, heldBy(running, job), job.needs) === null &&
      fits(job.needs, minus(free, held)) &&
      input.start(job)
    ) {
      free = minus(free, job.needs)
      continue
    }
    const ending = [...running.all()].filter(({ id, isEnding }) => isEnding && !claimed.has(id))
    const victims = ending.filter(({ preemptedFor }) => preemptedFor === job.id)
    // Where they are not enough, it was also to get what ends for nobody in particular.
    if (
      !fits(
        job.needs,
        victims.reduce((sum, victim) => plus(sum, victim.needs), minus(free, held))
      )
    )
      victims.push(
        ...ending.filter(({ preemptedFor }) => preemptedFor === null || !waiting.pinned().has(preemptedFor))
      )
    // All of them have ended and it still does not fit: it takes its turn like everybody.
    if (victims.length === 0) {
      waiting.unpin(job.id)
      continue
    }
    const coming = victims.reduce((sum, victim) => plus(sum, victim.needs), nothing)
    const gone = Math.max(...victims.map(({ endsBy }) => endsBy))
    held = plus(held, atLeastNothing(minus(job.needs, coming)))
    claims.push(
      { at: gone, needs: atLeastNothing(minus(coming, job.needs)) },
      { at: gone + job.longestMs, needs: job.needs }
    )
    for (const { id } of victims) claimed.add(id)
  }
  return {
    free: minus(free, held),
    ends: () => [
      ...claims,
      ...[...running.all()]
        .filter(({ id }) => !claimed.has(id))
        .map(({ endsBy, needs }) => ({ at: endsBy, needs }))
    ]
  }
}
