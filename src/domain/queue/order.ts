/*
 * The order of waiting jobs. Within a tenant a job's effective priority is its priority plus one point for each
 * `msPerPoint` since it was created. All age alike, so which of two comes first never changes: what sorts is when a
 * job of priority 0 would have had to be created to stand at the same place.
 */

/** Priorities are 0 to 100: so many points lie between the least and the most important job. */
export const priorityRange = 100

/** One point of priority for each 30 s of waiting; all of the range in 50 minutes. */
export const defaultMsPerPoint = 30_000

export interface Ranked {
  /** Time-ordered: the tie between jobs of one millisecond. */
  id: string
  priority: number
  /** Milliseconds since the epoch. */
  createdAt: number
}

/** Of two jobs of one tenant, the one with the higher effective priority first, then the older. */
export const compareJobs =
  (msPerPoint: number) =>
  (a: Ranked, b: Ranked): number =>
    a.createdAt - a.priority * msPerPoint - (b.createdAt - b.priority * msPerPoint) ||
    (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

export const effectivePriority = (job: Ranked, now: number, msPerPoint: number): number =>
  job.priority + Math.max(0, now - job.createdAt) / msPerPoint

export interface RankedTenant {
  name: string
  /** Dominant share over weight. */
  share: number
  /** Since when it has jobs waiting and had no start. */
  unservedSince: number
}

/**
 * Of two tenants, the one with the smaller share first, then the one that has waited longer. A tenant that had no start
 * for as long as a job takes to age over all priorities is overdue and goes before all that are not: its share may be
 * larger than the others' at every moment at which there is room, and it would starve.
 */
export const compareTenants =
  (now: number, msPerPoint: number) =>
  (a: RankedTenant, b: RankedTenant): number => {
    const overdueBefore = now - priorityRange * msPerPoint
    const aIsOverdue = a.unservedSince <= overdueBefore
    const bIsOverdue = b.unservedSince <= overdueBefore
    if (aIsOverdue !== bIsOverdue) return aIsOverdue ? -1 : 1
    return (
      (aIsOverdue ? 0 : a.share - b.share) ||
      a.unservedSince - b.unservedSince ||
      (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)
    )
  }
