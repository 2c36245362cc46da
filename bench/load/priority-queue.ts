/** The order before fair share, for comparison: one queue for all tenants, by priority, then by age. */
export function createPriorityQueue() {
  const entries = new Map<string, { id: string; priority: number; slots: number }>()
  const buckets = new Map<number, string[]>()
  return {
    add(entry: { id: string; priority: number; slots: number }): void {
      entries.set(entry.id, entry)
      const bucket = buckets.get(entry.priority)
      if (bucket === undefined) buckets.set(entry.priority, [entry.id])
      else bucket.push(entry.id)
    },
    /** Starts what fits, in order; the first that does not holds up the rest. Returns what is free afterwards. */
    look(free: number): number {
      let left = free
      for (const priority of [...buckets.keys()].sort((a, b) => b - a)) {
        const bucket = buckets.get(priority)!
        while (bucket.length > 0) {
          const entry = entries.get(bucket[0]!)!
          if (entry.slots > left) return left
          left -= entry.slots
          bucket.shift()
          entries.delete(entry.id)
        }
      }
      return left
    }
  }
}
