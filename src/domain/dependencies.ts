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
