import { minus, nothing, plus, type Amounts } from './amounts.ts'

/** An attempt that is not over, or about to begin, as the order of the queue sees it. */
export interface RunningJob {
  id: string
  tenant: string
  /** Id of the token that submitted it. */
  token: string
  tokenName: string | null
  needs: Amounts
  priority: number
  preemptible: boolean
  labels: Readonly<Record<string, string>>
  /** How often it has been preempted so far. */
  preemptions: number
  startedAt: number
  /** When it has ended at the latest, its grace included; Infinity where nobody can say. */
  endsBy: number
  /** It has been asked to end. */
  isEnding: boolean
  /** The job that it is ended for. */
  preemptedFor: string | null
}

/** What runs, and what each tenant and token holds of it. */
export function createRunning() {
  const jobs = new Map<string, RunningJob>()
  const tenants = new Map<string, Amounts>()
  const tokens = new Map<string, Amounts>()
  let preemptible = 0
  let version = 0

  function remove(id: string): void {
    const job = jobs.get(id)
    if (job === undefined) return
    version++
    jobs.delete(id)
    if (job.preemptible) preemptible--
    give(tenants, job.tenant, job.needs)
    give(tokens, tokenKey(job.tenant, job.token), job.needs)
  }

  return {
    get size() {
      return jobs.size
    },
    /** Another number after each change of what is held. */
    get version() {
      return version
    },
    /** How many of them may be preempted at all. */
    get preemptible() {
      return preemptible
    },
    get: (id: string): RunningJob | undefined => jobs.get(id),
    all: (): Iterable<RunningJob> => jobs.values(),
    tenants: (): Iterable<string> => tenants.keys(),
    /** Takes the place of what is known of the same job. */
    put(job: RunningJob): void {
      remove(job.id)
      version++
      jobs.set(job.id, job)
      if (job.preemptible) preemptible++
      take(tenants, job.tenant, job.needs)
      take(tokens, tokenKey(job.tenant, job.token), job.needs)
    },
    remove,
    heldByTenant: (tenant: string): Amounts => tenants.get(tenant) ?? nothing,
    heldByToken: (tenant: string, token: string): Amounts => tokens.get(tokenKey(tenant, token)) ?? nothing
  }
}

export type Running = ReturnType<typeof createRunning>

/** A tenant is a DNS label, so the space cannot be part of it. */
const tokenKey = (tenant: string, token: string): string => `${tenant} ${token}`

function take(held: Map<string, Amounts>, key: string, needs: Amounts): void {
  held.set(key, plus(held.get(key) ?? nothing, needs))
}

function give(held: Map<string, Amounts>, key: string, needs: Amounts): void {
  const left = minus(held.get(key) ?? nothing, needs)
  // Every job holds a slot: without one nothing of it is left.
  if (left.slots <= 0) held.delete(key)
  else held.set(key, left)
}
