import type { PlacementJob } from '../placement/index.ts'
import type { Amounts } from './amounts.ts'
import { compareJobs, type Ranked } from './order.ts'
import { createSortedList, type SortedList } from './sorted-list.ts'

/** What the queue keeps of a waiting job; the rest is read when its turn comes. */
export interface WaitingJob extends PlacementJob, Ranked {
  tenant: string
  /** Id of the token that submitted it. */
  token: string
  tokenName: string | null
  needs: Amounts
  /** From its start to its end at the latest: its time-out and the grace after it. */
  longestMs: number
  /** Since when it waits this time: later than `createdAt` where an attempt of it has run. */
  since: number
  /** Not tried before this time (backoff), ms since the epoch. */
  notBefore: number | null
  /** Jobs that must succeed first. */
  waitingFor: Set<string>
  /** Jobs that attempts of it were ended for. */
  preemptedBy: readonly string[]
}

/** Everything that decides where and when a job fits: jobs of one shape fit or do not fit together. */
export interface Shape {
  key: string
  needs: Amounts
  /** Jobs of this shape that may be tried. */
  waiting: number
}

/** Jobs of one tenant, one token and one shape: the first of them stands for all. */
export interface Line {
  key: string
  shape: Shape
  tenant: Tenant
  token: string
  jobs: SortedList<WaitingJob>
}

export interface Tenant {
  name: string
  lines: Map<string, Line>
  /** Its lines by their first jobs. */
  heads: SortedList<Line>
  /** Since when it has jobs that may be tried and had no start. */
  unservedSince: number
}

/** A waiting job with what its place in the index hangs on, made once. */
interface Entry {
  job: WaitingJob
  tokenKey: string
  shapeKey: string
}

const isAside = (job: WaitingJob): boolean => job.waitingFor.size > 0 || job.notBefore !== null

const byId = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

/**
 * Waiting jobs, indexed so that a look at the queue costs what there is to start and the number of shapes, not of jobs.
 * Jobs that cannot be tried yet (backoff, dependencies) stand aside.
 */
export function createWaiting(msPerPoint: number) {
  const compare: (a: WaitingJob, b: WaitingJob) => number = compareJobs(msPerPoint)
  const entries = new Map<string, Entry>()
  const ages = createSortedList<WaitingJob>(byId)
  const tenants = new Map<string, Tenant>()
  const shapes = new Map<string, Shape>()
  const aside = createSortedList<WaitingJob>(byId)
  const delayed = createSortedList<WaitingJob>((a, b) => a.notBefore! - b.notBefore! || byId(a, b))
  /** Jobs for which others are being ended: they come before everybody. */
  const pinned = new Map<string, WaitingJob>()
  /** How many there are, by tenant and by tenant and token. */
  const counts = new Map<string, number>()
  let version = 0

  function count({ job, tokenKey }: Entry, by: 1 | -1): void {
    for (const key of [job.tenant, tokenKey]) {
      const now = (counts.get(key) ?? 0) + by
      if (now === 0) counts.delete(key)
      else counts.set(key, now)
    }
  }

  function lineOf({ job, shapeKey }: Entry): Line {
    let tenant = tenants.get(job.tenant)
    if (tenant === undefined) {
      tenant = {
        name: job.tenant,
        lines: new Map(),
        heads: createSortedList<Line>((a, b) => compare(a.jobs.first()!, b.jobs.first()!)),
        unservedSince: job.since
      }
      tenants.set(job.tenant, tenant)
    }
    const lineKey = `${job.token} ${shapeKey}`
    const known = tenant.lines.get(lineKey)
    if (known !== undefined) return known
    let shape = shapes.get(shapeKey)
    if (shape === undefined) shapes.set(shapeKey, (shape = { key: shapeKey, needs: job.needs, waiting: 0 }))
    const line: Line = { key: lineKey, shape, tenant, token: job.token, jobs: createSortedList(compare) }
    tenant.lines.set(lineKey, line)
    return line
  }

  function addReady(entry: Entry): void {
    version++
    const { job } = entry
    const line = lineOf(entry)
    const { heads } = line.tenant
    const first = line.jobs.first()
    const leads = first === undefined || compare(job, first) < 0
    if (leads && first !== undefined) heads.delete(line)
    line.jobs.add(job)
    line.shape.waiting++
    if (leads) heads.add(line)
  }

  /** False where the job is not among those that may be tried. */
  function removeReady({ job, shapeKey }: Entry): boolean {
    version++
    const tenant = tenants.get(job.tenant)
    const line = tenant?.lines.get(`${job.token} ${shapeKey}`)
    const first = line?.jobs.first()
    if (tenant === undefined || line === undefined || first === undefined) return false
    const leads = first === job
    if (leads) tenant.heads.delete(line)
    const removed = line.jobs.delete(job)
    if (removed && --line.shape.waiting === 0) shapes.delete(line.shape.key)
    if (line.jobs.size === 0) {
      tenant.lines.delete(line.key)
      if (tenant.lines.size === 0) tenants.delete(tenant.name)
    } else if (leads) tenant.heads.add(line)
    return removed
  }

  function place(entry: Entry): void {
    const { job } = entry
    if (job.waitingFor.size === 0 && job.notBefore === null) return addReady(entry)
    version++
    aside.add(job)
    if (job.waitingFor.size === 0) delayed.add(job)
  }

  return {
    compare,
    msPerPoint,
    get size() {
      return entries.size
    },
    /** Another number after each change of the order. */
    get version() {
      return version
    },
    /** Whether any job may be tried. */
    get hasReady() {
      return tenants.size > 0 || pinned.size > 0
    },
    get: (id: string): WaitingJob | undefined => entries.get(id)?.job,
    /** A copy: what is looked at may be taken out and put back. */
    all: (): WaitingJob[] => Array.from(entries.values(), ({ job }) => job),
    /** How many of the tenant wait, or of one of its tokens. */
    count: (tenant: string, token: string | null): number =>
      counts.get(token === null ? tenant : tokenKey(tenant, token)) ?? 0,
    tenants: (): ReadonlyMap<string, Tenant> => tenants,
    shapes: (): ReadonlyMap<string, Shape> => shapes,
    pinned: (): ReadonlyMap<string, WaitingJob> => pinned,
    /** Those that stand aside, the oldest first. */
    aside: (): Iterable<WaitingJob> => aside,
    isAside,
    /** How many stand aside for what. */
    asideCounts: (): { dependencies: number; backoff: number } => ({
      dependencies: aside.size - delayed.size,
      backoff: delayed.size
    }),

    add(job: WaitingJob): void {
      if (entries.has(job.id)) return
      const entry = { job, tokenKey: tokenKey(job.tenant, job.token), shapeKey: shapeOf(job) }
      entries.set(job.id, entry)
      ages.add(job)
      count(entry, 1)
      place(entry)
    },
    remove(id: string): WaitingJob | undefined {
      const entry = entries.get(id)
      if (entry === undefined) return undefined
      const { job } = entry
      entries.delete(id)
      ages.delete(job)
      count(entry, -1)
      if (pinned.delete(id)) return job
      if (!isAside(job) || !aside.delete(job)) removeReady(entry)
      else if (job.notBefore !== null) delayed.delete(job)
      return job
    },
    /** Jobs whose backoff is over at `now` may be tried from here on. */
    release(now: number): void {
      for (let job = delayed.first(); job !== undefined && job.notBefore! <= now; job = delayed.first()) {
        delayed.delete(job)
        aside.delete(job)
        job.notBefore = null
        addReady(entries.get(job.id)!)
      }
    },
    /** `dependency` has succeeded. True where `id` waits for nothing more. */
    resolve(id: string, dependency: string): boolean {
      const entry = entries.get(id)
      if (entry === undefined) return false
      const { job } = entry
      if (!job.waitingFor.delete(dependency) || job.waitingFor.size > 0) return false
      aside.delete(job)
      place(entry)
      return true
    },
    /** Puts a job before everybody, until it is removed or unpinned. */
    pin(id: string): void {
      const entry = entries.get(id)
      if (entry !== undefined && !pinned.has(id) && removeReady(entry)) pinned.set(id, entry.job)
    },
    unpin(id: string): void {
      if (!pinned.has(id)) return
      pinned.delete(id)
      addReady(entries.get(id)!)
    },
    /** Earliest end of a backoff; null where there is none. */
    nextDue: (): number | null => delayed.first()?.notBefore ?? null,
    oldestCreatedAt: (): number | null => ages.first()?.createdAt ?? null,
    isFirstOfTenant: (job: WaitingJob): boolean =>
      tenants.get(job.tenant)?.heads.first()?.jobs.first() === job
  }
}

/** A tenant is a DNS label, so the space cannot be part of it. */
const tokenKey = (tenant: string, token: string): string => `${tenant} ${token}`

export type Waiting = ReturnType<typeof createWaiting>

function shapeOf(job: WaitingJob): string {
  const { millicores, memoryBytes, gpu } = job.needs
  const where =
    job.constraints.length === 0 && job.node === null
      ? job.locality
      : `${job.locality} ${job.node} ${JSON.stringify(job.constraints)}`
  return `${job.taskType} ${millicores} ${memoryBytes} ${gpu} ${job.longestMs} ${where}`
}
