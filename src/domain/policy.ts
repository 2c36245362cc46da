import type { Constraint, JobSpec } from '../schemas/job.ts'

/*
 * What the policies say of one tenant's token, as the plugins ask for it. The policies plugin makes it of the policy
 * file; everybody else only reads it. Every policy that matches applies, so the strictest of them wins.
 */

/** Bounds on what may be there at one time; null = no bound. */
export interface Quota {
  /** Attempts that are not over. */
  running: number | null
  /** Jobs that wait, the new one included. */
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

/** Names that pass: globs, compiled. */
export interface AllowList {
  patterns: readonly string[]
  matches(name: string): boolean
}

/** What one policy says of a single job; null = no bound. */
export interface JobBounds {
  policy: string
  taskTypes: AllowList | null
  images: AllowList | null
  /** Names of `env` and `secrets`. */
  env: AllowList | null
  /** The most that `resources` and `limits` may ask: cores, bytes, GPUs. */
  cpu: number | null
  memoryBytes: number | null
  gpu: number | null
  timeoutSeconds: number | null
  /** Output kept of an attempt, each of stdout and stderr. */
  logBytes: number | null
}

/** A condition on the labels of a node, ANDed to those of the job. */
export type PolicyConstraint = Constraint & { policy: string }

export interface EvictionBounds {
  policy: string
  /** An attempt runs this long before it may be evicted or preempted. */
  minRunSeconds: number
  /** `key=value`; a job with such a label is never evicted or preempted. */
  protectedLabels: AllowList | null
}

/** Where a policy lets webhooks go. A call needs the leave of each policy that speaks of webhooks, and of one at least. */
export interface WebhookBounds {
  policy: string
  /** Names of hosts, lower-case, without port; an address in a URL is a name too. */
  hosts: AllowList
  /** Private addresses and networks that are named; every other private address is refused. */
  addresses: { patterns: readonly string[]; includes(address: string): boolean }
  /** Whether plain http may be used, too. */
  http: boolean
}

export interface Rules {
  /** Names of the policies that apply. */
  policies: readonly string[]
  /** Share of the machine relative to other tenants that have jobs waiting; 1 where no policy says otherwise. */
  weight: number
  quotas: readonly AppliedQuota[]
  preemption: {
    /** How often one job may be preempted in its life; 0: never. */
    maxPerJob: number
    graceSeconds: number
  }
  jobs: readonly JobBounds[]
  /** Which nodes its jobs may use. */
  constraints: readonly PolicyConstraint[]
  /** What a job gets that does not say. Null: the service's own default, or nothing. */
  defaults: { timeoutSeconds: number | null; cpuLimit: number | null; memoryLimit: number | null }
  /** The accounts that policies name for process jobs, each with the policies that do; more than one name is a refusal. */
  users: ReadonlyMap<string, readonly string[]>
  eviction: readonly EvictionBounds[]
  webhooks: readonly WebhookBounds[]
}

/** Whose job it is: what policies go by and quotas count by. */
export interface Submitter {
  tenant: string
  /** Id of the token. */
  token: string
  /** Its name; null where policies cannot go by one. */
  tokenName: string | null
}

export interface PolicyReader {
  /**
   * The rules for jobs of `tenant` submitted by `token` (its id); `tokenName` is its name, as the job keeps it, or null.
   * Cheap: the answer is kept until the policies change.
   */
  rulesFor(tenant: string, token: string, tokenName: string | null): Rules
  /** Called after the policies have changed. Returns the unsubscribe. */
  onChange(listener: () => void): () => void
}

export const unrestricted: Rules = {
  policies: [],
  weight: 1,
  quotas: [],
  preemption: { maxPerJob: 3, graceSeconds: 10 },
  jobs: [],
  constraints: [],
  defaults: { timeoutSeconds: null, cpuLimit: null, memoryLimit: null },
  users: new Map(),
  eviction: [],
  webhooks: []
}

/** Why an attempt that has run for `ranSeconds` may not be evicted, naming the policy; null where it may. */
export function evictionRefusal(
  { eviction }: Rules,
  { labels = {} }: Pick<JobSpec, 'labels'>,
  ranSeconds: number
): { policy: string; limit: string | number; value: string | number; message: string } | null {
  for (const { policy, minRunSeconds, protectedLabels } of eviction) {
    const label = Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .find((pair) => protectedLabels?.matches(pair))
    if (label !== undefined)
      return {
        policy,
        limit: protectedLabels!.patterns.join(', '),
        value: label,
        message: `policy "${policy}": jobs with the label ${label} are protected from eviction`
      }
    if (ranSeconds < minRunSeconds)
      return {
        policy,
        limit: minRunSeconds,
        value: Math.floor(ranSeconds),
        message: `policy "${policy}": an attempt runs ${minRunSeconds} s before it may be evicted, this one has run ${Math.floor(ranSeconds)} s`
      }
  }
  return null
}

/** Why a webhook may not go there, naming the policy where one speaks of webhooks; null where it may. */
export function webhookRefusal({ webhooks }: Rules, host: string, isHttp = false): string | null {
  if (webhooks.length === 0)
    return 'no policy lets webhooks go anywhere; name the host in webhooks.hosts of a policy'
  const refusing = webhooks.find(({ hosts }) => !hosts.matches(host.toLowerCase()))
  if (refusing === undefined) {
    const strict = isHttp ? webhooks.find(({ http }) => !http) : undefined
    return strict === undefined
      ? null
      : `policy "${strict.policy}": webhooks go by https only, unless it says webhooks.http: true`
  }
  return `policy "${refusing.policy}": webhooks may go to ${refusing.hosts.patterns.join(', ') || 'no host'}, not to ${host}`
}

/** Whether every policy that speaks of webhooks names this private address. */
export const allowsPrivateAddress = ({ webhooks }: Rules, address: string): boolean =>
  webhooks.length > 0 && webhooks.every(({ addresses }) => addresses.includes(address))
