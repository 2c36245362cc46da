import picomatch from 'picomatch'
import {
  unrestricted,
  type AllowList,
  type AppliedQuota,
  type JobBounds,
  type Rules
} from '../../src/domain/policy.ts'
import { parseCpu, parseMemory } from '../../src/domain/quantity.ts'
import { networkList } from '../../src/addresses.ts'
import type { Policy } from '../../src/schemas/policy.ts'

const names: picomatch.PicomatchOptions = {
  bash: true,
  dot: true,
  nonegate: true,
  noextglob: true,
  flags: 's'
}
const paths: picomatch.PicomatchOptions = { dot: true, nonegate: true, noextglob: true, flags: 's' }

/** One expression for all patterns: a picomatch function takes five times as long, and jobs are accepted often. */
function matcherOf(patterns: readonly string[], options: picomatch.PicomatchOptions): RegExp {
  const sources = patterns.map((pattern) => picomatch.makeRe(pattern, options).source)
  return new RegExp(`^(?!$)(?:${sources.join('|')})`, 's')
}

/** A slash of a name is a character like others: else `*` would not match a name with the part `..`. */
const withoutSlashes = (text: string): string => text.replaceAll('/', '\u0001')

/** Names, in which `*` stands for any characters. */
export function nameList(patterns: readonly string[]): AllowList {
  const expression = matcherOf(patterns.map(withoutSlashes), names)
  return { patterns, matches: (name) => expression.test(withoutSlashes(name)) }
}

/** Images: `*` ends at a slash, `**` does not. The name passes as it was written or in its full form. */
function imageList(patterns: readonly string[]): AllowList {
  const expression = matcherOf(patterns, paths)
  return {
    patterns,
    matches: (image) => expression.test(image) || expression.test(fullImageName(image))
  }
}

/** `busybox:1.36` is `docker.io/library/busybox:1.36`, as the runtimes read it. */
function fullImageName(image: string): string {
  const slash = image.indexOf('/')
  const host = slash === -1 ? '' : image.slice(0, slash)
  if (host === 'localhost' || /[.:]/.test(host)) return image
  return `docker.io/${slash === -1 ? 'library/' : ''}${image}`
}

export interface CompiledPolicy {
  /** Whether it applies to jobs of this tenant that the token (its id, its name where it has one) submits. */
  appliesTo(tenant: string, token: string, tokenName: string | null): boolean
  policy: Policy
  quotas: readonly AppliedQuota[]
  bounds: JobBounds
  images: AllowList | null
  protectedLabels: AllowList | null
  webhooks: Rules['webhooks']
}

const cpuOf = (value: number | string | undefined) => (value === undefined ? null : parseCpu(value))
const bytesOf = (value: number | string | undefined) => (value === undefined ? null : parseMemory(value))

function quotaOf(name: string, quota: Policy['quota'], per: AppliedQuota['per']): AppliedQuota[] {
  if (quota === undefined) return []
  const { running = null, queued = null, gpu = null, submissionsPerMinute = null } = quota
  const cpu = cpuOf(quota.cpu)
  const memoryBytes = bytesOf(quota.memory)
  const logBytes = bytesOf(quota.logBytes)
  return [{ policy: name, per, running, queued, cpu, memoryBytes, gpu, submissionsPerMinute, logBytes }]
}

/** Reads globs and quantities of a policy once. */
export function compilePolicy(policy: Policy): CompiledPolicy {
  const { name, tenants, tokens, allow, job, eviction, webhooks } = policy
  const tenantNames = nameList(tenants)
  const tokenNames = tokens === undefined ? null : nameList(tokens)
  const images = allow?.images === undefined ? null : imageList(allow.images)
  const hosts = webhooks?.hosts?.map((host) => host.toLowerCase()) ?? []
  const addresses = webhooks?.addresses ?? []
  return {
    policy,
    appliesTo: (tenant, token, tokenName) =>
      tenantNames.matches(tenant) &&
      (tokenNames === null ||
        tokenNames.matches(token) ||
        (tokenName !== null && tokenNames.matches(tokenName))),
    quotas: [...quotaOf(name, policy.quota, 'tenant'), ...quotaOf(name, policy.tokenQuota, 'token')],
    bounds: {
      policy: name,
      taskTypes: allow?.taskTypes === undefined ? null : nameList(allow.taskTypes),
      images,
      env: allow?.env === undefined ? null : nameList(allow.env),
      cpu: cpuOf(job?.cpu),
      memoryBytes: bytesOf(job?.memory),
      gpu: job?.gpu ?? null,
      timeoutSeconds: job?.timeoutSeconds ?? null,
      logBytes: bytesOf(job?.logBytes)
    },
    images,
    protectedLabels: eviction?.protectedLabels === undefined ? null : nameList(eviction.protectedLabels),
    webhooks:
      webhooks === undefined
        ? []
        : [
            {
              policy: name,
              hosts: hosts.length === 0 ? { patterns: [], matches: () => false } : nameList(hosts),
              addresses: { patterns: addresses, includes: networkList(addresses) },
              http: webhooks.http ?? false
            }
          ]
  }
}

const smallest = (values: readonly (number | null | undefined)[]): number | null =>
  values.reduce<number | null>(
    (least, value) => (value == null || (least !== null && least <= value) ? least : value),
    null
  )

/** All policies that apply, as one set of rules. */
export function joinRules(applying: readonly CompiledPolicy[], tenant: string): Rules {
  if (applying.length === 0) return unrestricted
  const policies = applying.map(({ policy }) => policy)
  const users = Map.groupBy(
    policies.filter(({ user }) => user !== undefined),
    ({ user }) => user!.replaceAll('{tenant}', tenant)
  )
  const graces = policies
    .map(({ preemption }) => preemption?.graceSeconds)
    .filter((grace) => grace !== undefined)
  const { maxPerJob, graceSeconds } = unrestricted.preemption
  return {
    policies: policies.map(({ name }) => name),
    weight: smallest(policies.map(({ weight }) => weight)) ?? unrestricted.weight,
    quotas: applying.flatMap(({ quotas }) => quotas),
    preemption: {
      maxPerJob: smallest(policies.map(({ preemption }) => preemption?.maxPerJob)) ?? maxPerJob,
      graceSeconds: graces.length === 0 ? graceSeconds : Math.max(...graces)
    },
    jobs: applying.map(({ bounds }) => bounds),
    constraints: policies.flatMap(({ name, allow }) =>
      Object.entries(allow?.nodes ?? {}).map(([key, values]) => ({
        policy: name,
        key,
        operator: 'In' as const,
        values
      }))
    ),
    defaults: {
      timeoutSeconds: smallest(policies.map(({ defaults }) => defaults?.timeoutSeconds)),
      cpuLimit: smallest(policies.map(({ defaults }) => cpuOf(defaults?.limits?.cpu))),
      memoryLimit: smallest(policies.map(({ defaults }) => bytesOf(defaults?.limits?.memory)))
    },
    users: new Map([...users].map(([user, naming]) => [user, naming.map(({ name }) => name)])),
    eviction: applying.flatMap(({ policy: { name, eviction }, protectedLabels }) =>
      eviction === undefined
        ? []
        : [{ policy: name, minRunSeconds: eviction.minRunSeconds ?? 0, protectedLabels }]
    ),
    webhooks: applying.flatMap(({ webhooks }) => webhooks)
  }
}
