import type { JobState } from '../schemas/job.ts'

export type DependencyVerdict =
  | { ready: true }
  | { ready: false; waitingFor: string[] }
  /** The first of them that ended otherwise than well: the job can never start. */
  | { ready: false; failed: string; state: JobState }

/**
 * Whether a job may start that depends on the jobs `ids`, of which `states` tells. A failed one outweighs those still
 * at work, so that nobody waits in vain. An id without a state counts as done: submission refuses ids that do not
 * exist, only finished jobs are removed, and one that failed took its dependents with it when it failed.
 */
export function dependencyVerdict(
  states: ReadonlyMap<string, JobState>,
  ids: readonly string[]
): DependencyVerdict {
  const waitingFor: string[] = []
  for (const id of ids) {
    const state = states.get(id)
    if (state === 'failed' || state === 'cancelled') return { ready: false, failed: id, state }
    if (state !== undefined && state !== 'succeeded') waitingFor.push(id)
  }
  return waitingFor.length === 0 ? { ready: true } : { ready: false, waitingFor }
}

/**
 * A cycle among `edges` (id -> the ids it depends on), as the ids along it, each depending on the next and the last on
 * the first; null where there is none. Ids that are no key depend on nothing.
 */
export function findCycle(edges: ReadonlyMap<string, readonly string[]>): string[] | null {
  const done = new Set<string>()
  for (const start of edges.keys()) {
    // The path is kept by hand: a chain of 100,000 jobs must not exhaust the stack.
    const path: { id: string; next: number }[] = done.has(start) ? [] : [{ id: start, next: 0 }]
    const onPath = new Set(path.map((step) => step.id))
    while (path.length > 0) {
      const step = path.at(-1)!
      const dependency = edges.get(step.id)?.[step.next++]
      if (dependency === undefined) {
        path.pop()
        onPath.delete(step.id)
        done.add(step.id)
      } else if (onPath.has(dependency)) {
        return path.slice(path.findIndex((one) => one.id === dependency)).map((one) => one.id)
      } else if (!done.has(dependency)) {
        path.push({ id: dependency, next: 0 })
        onPath.add(dependency)
      }
    }
  }
  return null
}
