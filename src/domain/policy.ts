/*
 * What the policies say of one tenant's token, as the plugins ask for it. The policies plugin makes it of the policy
 * file; everybody else only reads it. Every policy that matches applies, so the strictest of them wins.
 */

/** Bounds on what may be there at one time; null = no bound. */
export interface Quota {
  /** Attempts that are not over. */
  running: number | null
  /** Jobs that wait. */
  queued: number | null
  /** Cores, bytes and GPUs requested by attempts that are not over. */
  cpu: number | null
  memoryBytes: number | null
  gpu: number | null
  submissionsPerMinute: number | null
  /** Bytes of output kept in the logs of its jobs. */
  logBytes: number | null
}

/** A quota with where it comes from: a refusal names the policy. */
export interface AppliedQuota extends Quota {
  policy: string
  /** Whether it counts all jobs of the tenant, or those of one token. */
  per: 'tenant' | 'token'
}

export interface Rules {
  /** Share of the machine relative to other tenants that have jobs waiting; 1 where no policy says otherwise. */
  weight: number
  quotas: readonly AppliedQuota[]
  preemption: {
    /** How often one job may be preempted in its life; 0: never. */
    maxPerJob: number
    graceSeconds: number
  }
}

export interface PolicyReader {
  /** The rules for jobs of `tenant` submitted by `token` (its id). Cheap: the answer is kept until the policies change. */
  rulesFor(tenant: string, token: string): Rules
  /** Called after the policies have changed. Returns the unsubscribe. */
  onChange(listener: () => void): () => void
}

export const unrestricted: Rules = {
  weight: 1,
  quotas: [],
  preemption: { maxPerJob: 3, graceSeconds: 10 }
}
