import { leavesRoom } from '../../src/domain/queue/backfill.ts'
import { toAmounts, type AmountName, type Amounts } from '../../src/domain/queue/amounts.ts'
import { dominantShare } from '../../src/domain/queue/fair-share.ts'
import { effectivePriority } from '../../src/domain/queue/order.ts'
import { describeOverQuota, heldBy, overQuota } from '../../src/domain/queue/quota.ts'
import { victimsFor } from '../../src/domain/queue/find-preemption.ts'
import type { RunningJob } from '../../src/domain/queue/running.ts'
import { turns } from '../../src/domain/queue/turns.ts'
import type { WaitingJob } from '../../src/domain/queue/waiting.ts'
import { explain } from '../../src/domain/placement/index.ts'
import type { QueueNeed, Wait } from '../../src/schemas/queue.ts'
import type { SchedulerContext } from './context.ts'
import { localNode } from './placing.ts'

/** Positions are told up to here: one more would be no news, and the walk would cost. */
const toldPositions = 1_000
/** A longer queue is counted anew only so often: a reader of each of its jobs must not cost a walk each. */
const countedAtOnce = 100
const recountMs = 250

/** What is said of a waiting job in words: its place, why it waits and what would let it start. */
export function createExplain(context: SchedulerContext) {
  const { queue, running, policies, capacity, clock, node } = context
  let positions = { waiting: -1, running: -1, countAgainAt: 0, byId: new Map<string, number>() }

  const total = (): Amounts => toAmounts(capacity.allocatable())
  const weight = (tenant: string) => policies.rulesFor(tenant, '', null).weight

  /** Every waiting job in the order of its turn; see `turns`. */
  const order = () => turns({ waiting: queue, running, total: total(), weight, now: clock.now() })

  /** Null where it is not among the first, or came after they were counted. */
  function positionOf(id: string): number | null {
    const now = clock.now()
    const isStale = positions.waiting !== queue.version || positions.running !== running.version
    if (isStale && (queue.size <= countedAtOnce || now >= positions.countAgainAt)) {
      const byId = new Map<string, number>()
      for (const entry of order()) {
        if (byId.size === toldPositions) break
        byId.set(entry.id, byId.size)
      }
      positions = {
        waiting: queue.version,
        running: running.version,
        countAgainAt: now + recountMs,
        byId
      }
    }
    return positions.byId.get(id) ?? null
  }

  /** As `positionOf`, but counted now: what is asked about once has no place among those counted before. */
  function countBefore(entry: WaitingJob): number | null {
    let before = 0
    for (const each of order()) {
      if (each === entry) return before
      if (++before === toldPositions) break
    }
    return null
  }

  /**
   * Why this job waits; null where it is about to start. `backoff` is what made it wait for its next try. Jobs of other
   * tenants are named only where `seesAll`.
   */
  function why(
    entry: WaitingJob,
    backoff: { reason: string | null; message: string | null } = { reason: null, message: null },
    seesAll = false,
    position = positionOf(entry.id)
  ): Wait | null {
    const wait = (
      reason: string,
      message: string,
      needs: QueueNeed[],
      startsBy: number | null = null
    ): Wait => ({
      position,
      reason,
      message,
      needs,
      startsBy: startsBy === null || startsBy === Infinity ? null : new Date(startsBy).toISOString()
    })
    const now = clock.now()
    if (entry.waitingFor.size > 0) {
      const [first] = entry.waitingFor
      const jobs = entry.waitingFor.size === 1 ? `job ${first}` : `${entry.waitingFor.size} jobs`
      return wait('dependencies', `Waits for ${jobs} to succeed`, [
        { what: 'jobs', needed: entry.waitingFor.size, available: 0, message: `${jobs} must succeed` }
      ])
    }
    if (entry.notBefore !== null && entry.notBefore > now) {
      const due = new Date(entry.notBefore).toISOString()
      const seconds = Math.ceil((entry.notBefore - now) / 1000)
      return wait(
        backoff.reason ?? 'backoff',
        `${backoff.message ?? 'It is tried again'} (next try at ${due})`,
        [{ what: 'time', needed: seconds, available: 0, message: `${seconds} s until its next try` }]
      )
    }
    if (context.paused !== null)
      return wait('paused', context.paused, [
        { what: 'node', needed: 1, available: 0, message: 'resume it with: roost undrain' }
      ])
    const over = overQuota(
      policies.rulesFor(entry.tenant, entry.token, entry.tokenName).quotas,
      heldBy(running, entry),
      entry.needs
    )
    if (over !== null) {
      const message = describeOverQuota(over)
      const available = Math.max(0, over.bound - over.present)
      return wait('quota', message, [
        {
          what: 'quota',
          needed: inUnits(over.amount, over.needed),
          available: inUnits(over.amount, available),
          message
        }
      ])
    }
    return whyNoRoom(entry, position, seesAll, wait)
  }

  function whyNoRoom(
    entry: WaitingJob,
    position: number | null,
    seesAll: boolean,
    wait: (reason: string, message: string, needs: QueueNeed[], startsBy?: number | null) => Wait
  ): Wait | null {
    const local = localNode(context)
    const reasons = explain(entry, [local], { seed: 0 }).filtered[0]?.reasons ?? []
    const { reservation } = context
    const isNext = reservation?.jobId === entry.id
    const startsBy = isNext ? reservation.at : null
    const next = isNext ? `; it is next${untilWhen(reservation.at)}` : describePosition(position)
    const victims = [...running.all()].filter(({ preemptedFor }) => preemptedFor === entry.id)
    if (victims.length > 0) {
      const gone = Math.max(...victims.map(({ endsBy }) => endsBy))
      return wait(
        'preempting',
        `Waits for ${nameJobs(victims, entry.tenant, seesAll)} to end, preempted for it`,
        [{ what: 'jobs', needed: victims.length, available: 0, message: 'the preempted attempts must end' }],
        gone
      )
    }
    if (reasons.length > 0) {
      return wait(
        reasons[0]!.code,
        `${node.name}: ${reasons.map(({ message }) => message).join('; ')}${next}`,
        reasons.map(({ code, message }) => needOf(code, message, entry, toAmounts(local.free))),
        startsBy
      )
    }
    const isHeld =
      reservation !== null &&
      !isNext &&
      !leavesRoom({ needs: entry.needs, endsBy: clock.now() + entry.longestMs }, reservation)
    if (isHeld) {
      const next = queue.get(reservation.jobId)
      const nextJob = next === undefined ? 'a job' : nameJobs([next], entry.tenant, seesAll)
      return wait(
        'reserved',
        `${node.name}: its room is kept for ${nextJob}, which starts${untilWhen(reservation.at)}; a job that ends before that by its own timeoutSeconds, or that leaves it its room, may start now${describePosition(position)}`,
        [
          {
            what: 'jobs',
            needed: 1,
            available: 0,
            message: `${nextJob} must start first`
          }
        ]
      )
    }
    // One that leaves the next job its room need not wait for its turn.
    return position === 0 || reservation !== null
      ? null
      : wait(
          'queue',
          describePosition(position).slice(2) || 'Its turn has not come',
          position === null
            ? []
            : [{ what: 'jobs', needed: position, available: 0, message: 'those before it must start' }]
        )
  }

  /** The attempts that would be ended at once for a job that lacks room; none where others have their turn before it. */
  function wouldEnd(entry: WaitingJob): readonly RunningJob[] {
    if (!queue.isFirstOfTenant(entry) || queue.pinned().size > 0) return []
    const input = {
      waiting: queue,
      running,
      rulesFor: policies.rulesFor,
      total: total(),
      free: toAmounts(capacity.free()),
      now: clock.now()
    }
    return victimsFor(input, entry, context.reservation) ?? []
  }

  return {
    order,
    why,

    /** Why a job would wait that is not in the queue: what `why` says of it if it came now. */
    whyIfAdded(entry: WaitingJob, seesAll: boolean): Wait | null {
      queue.add(entry)
      const found = why(entry, undefined, seesAll, countBefore(entry))
      const ended = found !== null && found.reason in lacking ? wouldEnd(entry) : []
      queue.remove(entry.id)
      if (ended.length === 0) return found
      const message = `${nameJobs(ended, entry.tenant, seesAll)} would be preempted for it, and end first`
      return {
        ...found!,
        reason: 'preempting',
        message,
        needs: [{ what: 'jobs', needed: ended.length, available: 0, message }]
      }
    },

    /** The tenant's part of the node over its weight, as it decides between tenants. */
    shareOf: (tenant: string): number =>
      dominantShare(running.heldByTenant(tenant), total()) / weight(tenant),

    /** To a tenth of a point. */
    effectivePriority: (entry: WaitingJob): number =>
      Math.floor(effectivePriority(entry, clock.now(), queue.msPerPoint) * 10) / 10
  }
}

/** A job of another tenant has no name for who may not see it. */
function nameJobs(jobs: readonly { id: string; tenant: string }[], tenant: string, seesAll: boolean): string {
  const [first] = jobs
  if (first === undefined || jobs.length > 1) return `${jobs.length} jobs`
  return seesAll || first.tenant === tenant ? `job ${first.id}` : 'a job of another tenant'
}

const untilWhen = (at: number): string =>
  at === Infinity ? '' : ` by ${new Date(at).toISOString()} at the latest`

function describePosition(position: number | null): string {
  if (position === null || position === 0) return ''
  return `; ${position === 1 ? '1 job stands' : `${position} jobs stand`} before it`
}

/** Amounts as the API tells them: cores, bytes, numbers. */
const inUnits = (amount: AmountName, value: number): number =>
  amount === 'millicores' ? value / 1000 : value

const lacking: Readonly<Record<string, { what: QueueNeed['what']; amount: AmountName }>> = {
  'insufficient-cpu': { what: 'cpu', amount: 'millicores' },
  'insufficient-memory': { what: 'memory', amount: 'memoryBytes' },
  'insufficient-gpu': { what: 'gpu', amount: 'gpu' },
  'no-slot': { what: 'slots', amount: 'slots' }
}

function needOf(code: string, message: string, { needs }: WaitingJob, free: Amounts): QueueNeed {
  const lack = lacking[code]
  if (lack === undefined) return { what: 'node', needed: 1, available: 0, message }
  const { what, amount } = lack
  return { what, needed: inUnits(amount, needs[amount]), available: inUnits(amount, free[amount]), message }
}
