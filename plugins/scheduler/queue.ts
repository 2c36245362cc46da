import type { PlacementJob } from '../../src/domain/placement/index.ts'

/** What the queue keeps of a waiting job; the rest is read when its turn comes. */
export interface QueueEntry extends PlacementJob {
  tenant: string
  priority: number
  createdAt: number
  /** Not placed before this time (backoff), ms since the epoch. */
  notBefore: number | null
  /** Jobs that must succeed first. */
  waitingFor: Set<string>
}

/**
 * Waiting jobs in the order in which they are tried: priority, then age. Jobs that cannot be tried yet (backoff,
 * dependencies) stand aside. Ids are time-ordered, so the id is the age.
 */
export function createQueue() {
  const entries = new Map<string, QueueEntry>()
  /** By priority, highest first when walked; each bucket sorted by id. */
  const buckets = new Map<number, string[]>()
  /** Entries with a backoff: few, so that looking for the next one due does not walk the queue. */
  const delayed = new Set<QueueEntry>()

  const isReady = (entry: QueueEntry, now: number) =>
    entry.waitingFor.size === 0 && (entry.notBefore === null || entry.notBefore <= now)

  return {
    get size() {
      return entries.size
    },
    get: (id: string): QueueEntry | undefined => entries.get(id),
    add(entry: QueueEntry): void {
      if (entries.has(entry.id)) return
      entries.set(entry.id, entry)
      if (entry.notBefore !== null) delayed.add(entry)
      let bucket = buckets.get(entry.priority)
      if (bucket === undefined) buckets.set(entry.priority, (bucket = []))
      // New jobs come last; one that comes back (a retry) takes its old place.
      if (bucket.length === 0 || bucket.at(-1)! < entry.id) bucket.push(entry.id)
      else bucket.splice(lowerBound(bucket, entry.id), 0, entry.id)
    },
    remove(id: string): QueueEntry | undefined {
      const entry = entries.get(id)
      if (entry === undefined) return undefined
      entries.delete(id)
      delayed.delete(entry)
      const bucket = buckets.get(entry.priority)!
      const at = bucket[0] === id ? 0 : lowerBound(bucket, id)
      if (at === 0) bucket.shift()
      else bucket.splice(at, 1)
      if (bucket.length === 0) buckets.delete(entry.priority)
      return entry
    },
    /** Entries in order that may be tried at `now`. The queue may lose the entry just given while it is walked. */
    *ready(now: number): Generator<QueueEntry> {
      for (const priority of [...buckets.keys()].sort((a, b) => b - a)) {
        const bucket = buckets.get(priority)
        for (let i = 0; bucket !== undefined && i < bucket.length;) {
          const id = bucket[i]!
          const entry = entries.get(id)!
          if (isReady(entry, now)) yield entry
          if (bucket[i] === id) i++
        }
      }
    },
    /** Every entry in order, ready or not. */
    *all(): Generator<QueueEntry> {
      for (const priority of [...buckets.keys()].sort((a, b) => b - a)) {
        for (const id of buckets.get(priority) ?? []) yield entries.get(id)!
      }
    },
    /** Earliest end of a backoff after `now`; null where there is none. */
    nextDue(now: number): number | null {
      let due: number | null = null
      for (const entry of delayed) {
        if (entry.notBefore !== null && entry.notBefore > now && (due === null || entry.notBefore < due))
          due = entry.notBefore
      }
      return due
    },
    /** How many stand before this one. */
    position(id: string): number | null {
      const entry = entries.get(id)
      if (entry === undefined) return null
      let before = lowerBound(buckets.get(entry.priority)!, id)
      for (const [priority, bucket] of buckets) if (priority > entry.priority) before += bucket.length
      return before
    },
    oldestCreatedAt(): number | null {
      let oldest: number | null = null
      for (const bucket of buckets.values()) {
        const entry = entries.get(bucket[0]!)!
        if (oldest === null || entry.createdAt < oldest) oldest = entry.createdAt
      }
      return oldest
    }
  }
}

export type Queue = ReturnType<typeof createQueue>

function lowerBound(sorted: readonly string[], id: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle]! < id) low = middle + 1
    else high = middle
  }
  return low
}
