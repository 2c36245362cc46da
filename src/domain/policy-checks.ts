import type { JobSpec } from '../schemas/job.ts'
import type { PolicyCheck } from '../schemas/policy.ts'
import type { AllowList, AppliedQuota, JobBounds, Rules } from './policy.ts'
import { formatCpu, formatMemory, parseCpu, parseMemory } from './quantity.ts'

/** A check with what a refusal needs besides. */
export interface Finding extends PolicyCheck {
  /** JSON pointer to the field at fault; null where no field is: another moment would do. */
  pointer: string | null
}

/** What there is of a tenant or a token now, the job that is asked about left out. */
export interface Usage {
  queued: number
  running: number
  cpu: number
  memoryBytes: number
  gpu: number
  /** Accepted in the last 60 seconds. */
  submissions: number
  logBytes: number
}

interface Asked {
  cpu: number
  memoryBytes: number
  gpu: number
}

const defaultTimeoutSeconds = 3600

/** Requests as numbers, the service's defaults filled in. */
function asked({ resources = {} }: JobSpec): Asked {
  return {
    cpu: parseCpu(resources.cpu ?? 0.1) ?? 0.1,
    memoryBytes: parseMemory(resources.memory ?? '64Mi') ?? 64 * 2 ** 20,
    gpu: resources.gpu ?? 0
  }
}

/**
 * The job as it is stored: time-out and hard limits of the policies where it names none. Neither is above the policies'
 * ceilings, and no limit is below what the job itself requests.
 */
export function withDefaults(spec: JobSpec, { defaults, jobs }: Rules): JobSpec {
  let filled = spec
  if (spec.timeoutSeconds === undefined) {
    let timeoutSeconds = defaults.timeoutSeconds ?? defaultTimeoutSeconds
    for (const bounds of jobs) timeoutSeconds = Math.min(timeoutSeconds, bounds.timeoutSeconds ?? Infinity)
    filled = { ...filled, timeoutSeconds }
  }
  const { cpuLimit, memoryLimit } = defaults
  if (cpuLimit === null && memoryLimit === null) return filled
  const limits = { ...spec.limits }
  const requests = asked(spec)
  if (cpuLimit !== null) limits.cpu ??= Math.max(requests.cpu, leastOf(jobs, 'cpu', cpuLimit))
  if (memoryLimit !== null)
    limits.memory ??= Math.max(requests.memoryBytes, leastOf(jobs, 'memoryBytes', memoryLimit))
  return { ...filled, limits }
}

const leastOf = (jobs: readonly JobBounds[], name: 'cpu' | 'memoryBytes', value: number): number =>
  jobs.reduce((least, bounds) => Math.min(least, bounds[name] ?? Infinity), value)

/** What the policies say of the job itself, whatever else is there. With `all` also what they allow. */
export function checkJob(rules: Rules, spec: JobSpec, all: boolean): Finding[] {
  const findings: Finding[] = []
  const requests = asked(spec)
  for (const bounds of rules.jobs) checkBounds(bounds, spec, requests, findings, all)
  for (const quota of rules.quotas) checkFits(quota, requests, findings)
  return findings
}

function checkBounds(
  bounds: JobBounds,
  spec: JobSpec,
  requests: Asked,
  findings: Finding[],
  all: boolean
): void {
  const { policy } = bounds
  const { task } = spec
  const named = (rule: string, list: AllowList | null, value: string, pointer: string, what: string) => {
    if (list === null) return
    const allowed = list.matches(value)
    if (allowed && !all) return
    findings.push({
      policy,
      rule,
      verdict: allowed ? 'allowed' : 'refused',
      value,
      limit: [...list.patterns],
      pointer,
      message: allowed
        ? `policy "${policy}" allows ${what} ${value}`
        : `policy "${policy}": ${what} ${value} is not among those allowed: ${list.patterns.join(', ')}`
    })
  }
  named('allow.taskTypes', bounds.taskTypes, task.type, '/task/type', 'the task type')
  if (
    bounds.images !== null &&
    task.type === 'container' &&
    'image' in task &&
    typeof task.image === 'string'
  )
    named('allow.images', bounds.images, task.image, '/task/image', 'the image')
  if (bounds.env !== null) {
    for (const part of ['env', 'secrets'] as const)
      for (const name in spec[part])
        named('allow.env', bounds.env, name, `/${part}/${name}`, 'the environment name')
  }

  const bounded = (
    rule: string,
    limit: number | null,
    value: number | null,
    pointer: string,
    say: (value: number) => string
  ) => {
    if (limit === null || value === null) return
    const allowed = value <= limit
    if (allowed && !all) return
    findings.push({
      policy,
      rule,
      verdict: allowed ? 'allowed' : 'refused',
      value,
      limit,
      pointer,
      message: `policy "${policy}": a job may ask for ${say(limit)} at most, this one asks for ${say(value)}`
    })
  }
  bounded('job.cpu', bounds.cpu, requests.cpu, '/resources/cpu', cores)
  bounded('job.memory', bounds.memoryBytes, requests.memoryBytes, '/resources/memory', memory)
  bounded('job.gpu', bounds.gpu, requests.gpu, '/resources/gpu', gpus)
  bounded('job.timeoutSeconds', bounds.timeoutSeconds, spec.timeoutSeconds ?? null, '/timeoutSeconds', time)
  const { limits } = spec
  if (limits === undefined) return
  if (limits.cpu !== undefined) bounded('job.cpu', bounds.cpu, parseCpu(limits.cpu), '/limits/cpu', cores)
  if (limits.memory !== undefined)
    bounded('job.memory', bounds.memoryBytes, parseMemory(limits.memory), '/limits/memory', memory)
  if (limits.gpu !== undefined) bounded('job.gpu', bounds.gpu, limits.gpu, '/limits/gpu', gpus)
}

const cores = (value: number) => `${formatCpu(value)} ${value === 1 ? 'core' : 'cores'}`
const memory = (value: number) => `${formatMemory(value)} of memory`
const gpus = (value: number) => `${value} ${value === 1 ? 'GPU' : 'GPUs'}`
const time = (value: number) => `a time-out of ${value} s`

/** A job that asks for more than all that its tenant or token may hold would wait for ever. */
function checkFits(quota: AppliedQuota, requests: Asked, findings: Finding[]): void {
  for (const [name, value, pointer, say] of [
    ['running', 1, '', (count: number) => `${count} running ${count === 1 ? 'job' : 'jobs'}`],
    ['cpu', requests.cpu, '/resources/cpu', cores],
    ['memoryBytes', requests.memoryBytes, '/resources/memory', memory],
    ['gpu', requests.gpu, '/resources/gpu', gpus]
  ] as const) {
    const limit = quota[name]
    // Cores are counted in thousandths, so a fraction of one more is none.
    if (limit === null || value <= limit + 1e-9) continue
    findings.push({
      ...ofQuota(quota, name),
      verdict: 'refused',
      value,
      limit,
      pointer,
      message: `policy "${quota.policy}": ${whose(quota)} may hold ${say(limit)} at one time, this job alone needs ${say(value)} and would wait for ever`
    })
  }
}

const ruleNames = { memoryBytes: 'memory' } as const
const ofQuota = ({ policy, per }: AppliedQuota, name: keyof Usage | 'submissionsPerMinute') => ({
  policy,
  rule: `${per === 'tenant' ? 'quota' : 'tokenQuota'}.${name in ruleNames ? ruleNames[name as keyof typeof ruleNames] : name}`
})
const whose = ({ per }: AppliedQuota): string => (per === 'tenant' ? 'a tenant' : 'a token')

/** What is there of the tenant or the token that the quota counts. */
export type UsageOf = (per: AppliedQuota['per']) => Pick<Usage, 'queued' | 'submissions' | 'logBytes'>

/** What the quotas say of one job more, now. With `all` also what they allow. */
export function checkQuotas(rules: Rules, usageOf: UsageOf, all: boolean): Finding[] {
  const findings: Finding[] = []
  for (const quota of rules.quotas) {
    const { queued, submissions, logBytes } = usageOf(quota.per)
    const check = (
      name: 'queued' | 'submissionsPerMinute' | 'logBytes',
      value: number,
      allowed: (limit: number) => boolean,
      say: (limit: number) => string
    ) => {
      const limit = quota[name]
      if (limit === null || (allowed(limit) && !all)) return
      findings.push({
        ...ofQuota(quota, name),
        verdict: allowed(limit) ? 'allowed' : 'refused',
        value,
        limit,
        pointer: null,
        message: `policy "${quota.policy}": ${say(limit)}`
      })
    }
    check(
      'queued',
      queued,
      (limit) => queued < limit,
      (limit) =>
        `${limit} ${limit === 1 ? 'job' : 'jobs'} of ${whose(quota)} may wait, ${queued} ${queued === 1 ? 'does' : 'do'}`
    )
    check(
      'submissionsPerMinute',
      submissions,
      (limit) => submissions < limit,
      (limit) =>
        `${whose(quota)} may submit ${limit} ${limit === 1 ? 'job' : 'jobs'} a minute, ${submissions} ${submissions === 1 ? 'was' : 'were'}`
    )
    check(
      'logBytes',
      logBytes,
      (limit) => logBytes < limit,
      (limit) =>
        `the logs of ${whose(quota)} may keep ${formatMemory(limit)}, they hold ${formatMemory(logBytes)}; remove finished jobs with: roost cancel --purge JOB`
    )
  }
  return findings
}

/** What the quotas of what runs say of the job: over them it waits. For an explanation; dispatch counts for itself. */
export function checkRunning(
  rules: Rules,
  spec: JobSpec,
  held: (per: AppliedQuota['per']) => Pick<Usage, 'running' | 'cpu' | 'memoryBytes' | 'gpu'>
): Finding[] {
  const requests = { running: 1, ...asked(spec) }
  return rules.quotas.flatMap((quota) =>
    (['running', 'cpu', 'memoryBytes', 'gpu'] as const).flatMap((name): Finding[] => {
      const limit = quota[name]
      if (limit === null || requests[name] > limit + 1e-9) return []
      const value = held(quota.per)[name]
      const say = name === 'memoryBytes' ? formatMemory : String
      const fits = requests[name] === 0 || value + requests[name] <= limit + 1e-9
      return [
        {
          ...ofQuota(quota, name),
          verdict: fits ? 'allowed' : 'waits',
          value,
          limit,
          pointer: null,
          message: `policy "${quota.policy}": ${whose(quota)} may hold ${say(limit)}, holds ${say(value)}, and this job adds ${say(requests[name])}`
        }
      ]
    })
  )
}
