import { plus, type Amounts } from './amounts.ts'
import { dominantShare } from './fair-share.ts'
import { createHeap } from './heap.ts'
import { compareTenants, type RankedTenant } from './order.ts'
import type { Running } from './running.ts'
import type { Tenant, Waiting, WaitingJob } from './waiting.ts'

/**
 * Waiting jobs in the order of their turns, as if each started when its turn comes; those that stand aside come last.
 * Nothing may be added or removed meanwhile.
 */
export function* turns({
  waiting,
  running,
  total,
  weight,
  now
}: {
  waiting: Waiting
  running: Running
  total: Amounts
  weight(tenant: string): number
  now: number
}): Generator<WaitingJob> {
  yield* waiting.pinned().values()
  const shareOf = (name: string, held: Amounts) => dominantShare(held, total) / weight(name)
  const ranked = [...waiting.tenants().values()].map(
    (tenant): RankedTenant & { tenant: Tenant; held: Amounts; jobs: Generator<WaitingJob> | null } => {
      const { name, unservedSince } = tenant
      const held = running.heldByTenant(name)
      return { tenant, name, unservedSince, held, share: shareOf(name, held), jobs: null }
    }
  )
  const heap = createHeap(ranked, compareTenants(now, waiting.msPerPoint))
  for (let top = heap.top(); top !== undefined; top = heap.top()) {
    top.jobs ??= jobsOf(top.tenant, waiting.compare)
    const next = top.jobs.next()
    if (next.done === true) {
      heap.removeTop()
      continue
    }
    yield next.value
    top.held = plus(top.held, next.value.needs)
    top.share = shareOf(top.name, top.held)
    top.unservedSince = now
    heap.sinkTop()
  }
  yield* waiting.aside()
}

/** Jobs of one tenant in order, merged from its lines; a line is opened when its first job's turn comes. */
function* jobsOf(tenant: Tenant, compare: (a: WaitingJob, b: WaitingJob) => number): Generator<WaitingJob> {
  const heap = createHeap<{ job: WaitingJob; rest: Generator<WaitingJob> }>([], (a, b) =>
    compare(a.job, b.job)
  )
  const heads = tenant.heads[Symbol.iterator]()
  for (let head = heads.next(); ;) {
    let top = heap.top()
    if (head.done !== true && (top === undefined || compare(head.value.jobs.first()!, top.job) < 0)) {
      const rest = head.value.jobs[Symbol.iterator]()
      heap.add({ job: rest.next().value as WaitingJob, rest })
      head = heads.next()
      top = heap.top()
    }
    if (top === undefined) return
    yield top.job
    const next = top.rest.next()
    if (next.done === true) heap.removeTop()
    else {
      top.job = next.value
      heap.sinkTop()
    }
  }
}
