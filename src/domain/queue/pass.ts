import type { Rules } from '../policy.ts'
import { fits, minus, type Amounts } from './amounts.ts'
import { afterStart, earliestFit, leavesRoom, type Reservation, type RoomEnd } from './backfill.ts'
import { dominantShare } from './fair-share.ts'
import { findPreemption } from './find-preemption.ts'
import { createHeap } from './heap.ts'
import { compareTenants, type RankedTenant } from './order.ts'
import { startPinned } from './pins.ts'
import { nextPreemptible } from './preemption.ts'
import { createQuotaTurns } from './quota-turns.ts'
import type { RunningJob, Running } from './running.ts'
import type { Line, Shape, Tenant, Waiting, WaitingJob } from './waiting.ts'

/**
 * So many lines are looked at in vain in one pass, so that no queue, however odd, holds up everything else for long;
 * each tenant has its part of them, so that none uses up the others'.
 */
const looksPerPass = 5_000
const leastLooksPerTenant = 100
/** So many tenants are asked in one pass whether their first job may preempt others. */
const preemptorsPerPass = 8

export interface PassInput {
  waiting: Waiting
  running: Running
  /** Rules of one token; of the tenant as such for the token ''. */
  rulesFor(tenant: string, token: string, tokenName: string | null): Rules
  total: Amounts
  free: Amounts
  now: number
  /** Whether this node could take the job once it is empty; one that it never could holds nobody up. */
  suits(job: WaitingJob): boolean
  /** Books the room: takes the job out of `waiting` and puts it into `running`. False where there is none after all. */
  start(job: WaitingJob): boolean
}

export interface PassOutcome {
  /** The promise to the first job that lacks room; null where every job that suits has started. */
  reservation: Reservation | null
  /** Attempts to end, and the job that they make room for. */
  preempt: { job: WaitingJob; victims: RunningJob[] } | null
  /** Look again at this time: an attempt may be preempted from then on. Null where none is waited for. */
  lookAgainAt: number | null
}

/** A tenant in this pass: its lines that may still start something, from `at` on. */
interface Ranked extends RankedTenant {
  tenant: Tenant
  lines: Line[] | null
  at: number
  /** How many lines may still be looked at in vain. */
  looks: number
}

/**
 * One look at the queue: starts what is to start now, in the order of fair share between tenants and of effective
 * priority within them. The first job that lacks room gets a reservation; those behind it start only where that
 * leaves it its room. Costs what starts and the number of shapes and tenants, not the number of jobs.
 */
export function pass(input: PassInput): PassOutcome {
  const { waiting, running, now } = input
  waiting.release(now)
  if (!waiting.hasReady) return { reservation: null, preempt: null, lookAgainAt: null }
  const pins = startPinned(input)
  let free = pins.free
  let reservation: Reservation | null = null
  /** Shapes of which nothing more starts in this pass: room only shrinks. */
  const shut = new Set<Shape>()
  const lacksRoom = new Set<Shape>()
  const suited = new Set<Shape>()
  const turns = createQuotaTurns(input)
  const compare = compareTenants(now, waiting.msPerPoint)
  const looks = Math.max(leastLooksPerTenant, Math.ceil(looksPerPass / waiting.tenants().size))
  const rank = (tenant: Tenant): Ranked => ({
    tenant,
    name: tenant.name,
    share: weightedShare(input, tenant.name),
    unservedSince: tenant.unservedSince,
    lines: null,
    at: 0,
    looks
  })
  const ranked = [...waiting.tenants().values()].map(rank)
  const heap = createHeap([...ranked], compare)

  while (shut.size < waiting.shapes().size) {
    const top = heap.top()
    if (top === undefined) break
    const line = top.looks-- === 0 ? null : firstOpen(top, shut, turns.isShut)
    if (line === null) {
      heap.removeTop()
      continue
    }
    const job = line.jobs.first()!
    if (!turns.mayStart(line, job)) continue
    if (!suited.has(line.shape) && !input.suits(job)) {
      shut.add(line.shape)
      continue
    }
    suited.add(line.shape)
    if (!fits(job.needs, free)) {
      // All shapes at once: on a full node this look is the last.
      for (const shape of waiting.shapes().values()) {
        if (shut.has(shape) || fits(shape.needs, free)) continue
        lacksRoom.add(shape)
        shut.add(shape)
      }
      reservation ??= reserve(job, free, pins.ends(), now)
      continue
    }
    const overtaker = { needs: job.needs, endsBy: now + job.longestMs }
    if ((reservation !== null && !leavesRoom(overtaker, reservation)) || !input.start(job)) {
      shut.add(line.shape)
      continue
    }
    free = minus(free, job.needs)
    if (reservation !== null) reservation = afterStart(overtaker, reservation)
    top.looks++
    top.tenant.unservedSince = top.unservedSince = now
    top.share = weightedShare(input, top.name)
    moveOn(top, waiting.compare)
    heap.sinkTop()
  }

  if (running.preemptible === 0 || lacksRoom.size === 0)
    return { reservation, preempt: null, lookAgainAt: null }
  const preempt = findPreemption(input, {
    free,
    ends: pins.ends(),
    reservation,
    heads: ranked
      .sort(compare)
      .flatMap(({ tenant }) => firstLacking(tenant, lacksRoom, turns.isShut) ?? [])
      .slice(0, preemptorsPerPass)
  })
  const lookAgainAt = preempt === null ? nextPreemptible(running.all(), input) : null
  return { reservation, preempt, lookAgainAt }
}

const weightedShare = ({ running, total, rulesFor }: PassInput, tenant: string): number =>
  dominantShare(running.heldByTenant(tenant), total) / rulesFor(tenant, '', null).weight

/** The line whose first job is the tenant's next: what is shut stays so, so nothing is looked at twice. */
function firstOpen(ranked: Ranked, shut: ReadonlySet<Shape>, isShut: (line: Line) => boolean): Line | null {
  const lines = (ranked.lines ??= [...ranked.tenant.heads])
  for (; ranked.at < lines.length; ranked.at++) {
    const line = lines[ranked.at]!
    if (!shut.has(line.shape) && !isShut(line)) return line
  }
  return null
}

/** The first job of the tenant's current line has started: the line goes to where its next one belongs. */
function moveOn(ranked: Ranked, compare: (a: WaitingJob, b: WaitingJob) => number): void {
  const lines = ranked.lines!
  const line = lines[ranked.at]!
  const next = line.jobs.first()
  if (next === undefined) {
    ranked.at++
    return
  }
  let place = ranked.at
  for (; place + 1 < lines.length && compare(lines[place + 1]!.jobs.first()!, next) < 0; place++)
    lines[place] = lines[place + 1]!
  lines[place] = line
}

/** The job of the tenant that comes first and lacks nothing but room. */
function firstLacking(
  tenant: Tenant,
  lacksRoom: ReadonlySet<Shape>,
  isShut: (line: Line) => boolean
): WaitingJob | null {
  for (const line of tenant.heads) if (lacksRoom.has(line.shape) && !isShut(line)) return line.jobs.first()!
  return null
}

function reserve(job: WaitingJob, free: Amounts, ends: readonly RoomEnd[], now: number): Reservation | null {
  const fit = earliestFit(job.needs, free, ends, now)
  return fit === null ? null : { jobId: job.id, tenant: job.tenant, ...fit }
}
