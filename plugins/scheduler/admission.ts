import {
  checkJob,
  checkQuotas,
  checkRunning,
  withDefaults,
  type Finding
} from '../../src/domain/policy-checks.ts'
import { unrestricted, type AppliedQuota, type Rules, type Submitter } from '../../src/domain/policy.ts'
import { RoostError } from '../../src/errors.ts'
import type { JobSpec } from '../../src/schemas/job.ts'
import type { PolicyCheck, PolicyExplanation } from '../../src/schemas/policy.ts'
import type { SchedulerContext } from './context.ts'
import { createSubmissions, windowMs } from './submissions.ts'

/** What a refused client may wait for before it asks again, where no clock says it. */
const retryAfterSeconds = { queued: 5, logBytes: 60 } as const

/** A place among those that may be accepted; it must be left, whether the job was accepted or not. */
export interface Place {
  /** Headers that tell how many submissions are left. */
  headers: Record<string, string> | null
  leave(accepted: boolean): void
}

const freePlace: Place = { headers: null, leave() {} }

/**
 * What the policies let in. What waits and what runs is counted by the queue itself; added to that are jobs between
 * this look and their commit, so that two at once cannot both take the last place.
 */
export function createAdmission(context: SchedulerContext) {
  const { policies, queue, running, clock, runtimes } = context
  const submissions = createSubmissions()
  /** Jobs between admission and the queue, by tenant and by token. */
  const arriving = new Map<string, number>()

  const rulesOf = ({ tenant, token, tokenName }: Submitter): Rules =>
    policies.rulesFor(tenant, token, tokenName)

  const keyOf = (per: AppliedQuota['per'], { tenant, token }: Submitter): string =>
    per === 'tenant' ? tenant : `${tenant} ${token}`

  const usageOf = (submitter: Submitter, now: number) => (per: AppliedQuota['per']) => {
    const key = keyOf(per, submitter)
    return {
      queued:
        queue.count(submitter.tenant, per === 'tenant' ? null : submitter.token) + (arriving.get(key) ?? 0),
      submissions: submissions.count(key, now),
      logBytes: context.logUsage.of(per, submitter.tenant, submitter.token)
    }
  }

  const heldBy =
    ({ tenant, token }: Submitter) =>
    (per: AppliedQuota['per']) => {
      const { slots, millicores, memoryBytes, gpu } =
        per === 'tenant' ? running.heldByTenant(tenant) : running.heldByToken(tenant, token)
      return { running: slots, cpu: millicores / 1000, memoryBytes, gpu }
    }

  /** Whether this node has the labels that the policies ask for. */
  function checkNodes({ constraints }: Rules): PolicyCheck[] {
    const { name, labels } = context.node
    return constraints.map(({ policy, key, values = [] }) => {
      const value = labels[key] ?? null
      const fits = value !== null && values.includes(value)
      return {
        policy,
        rule: `allow.nodes.${key}`,
        verdict: fits ? 'allowed' : 'refused',
        value,
        limit: [...values],
        message: `policy "${policy}": a node needs the label ${key} with one of ${values.join(', ')}; ${name} has ${value ?? 'none'}`
      }
    })
  }

  /** The account of the process jobs, and why they may not run as it. */
  function findAccountFault(spec: JobSpec, tenant: string, { users }: Rules): AccountFault | null {
    if (spec.task.type !== 'process') return null
    const [named, other] = [...users]
    if (named !== undefined && other !== undefined)
      return {
        policy: other[1][0]!,
        limit: named[0],
        value: other[0],
        message: `policies "${named[1][0]}" and "${other[1][0]}" name two accounts for process jobs of tenant "${tenant}": ${named[0]} and ${other[0]}; only one can be`
      }
    const fault = runtimes.forTask('process')?.findUserFault?.(tenant, named?.[0] ?? null) ?? null
    return fault === null
      ? null
      : {
          policy: named?.[1][0] ?? null,
          limit: named?.[0] ?? 'default',
          value: tenant,
          message: named === undefined ? fault : `policy "${named[1][0]}": ${fault}`
        }
  }

  /** Refuses what these policies never let in. Throws `policy-denied`, every field at fault at once. */
  function requireAllowed(spec: JobSpec, submitter: Submitter): void {
    const rules = rulesOf(submitter)
    const fault = findAccountFault(spec, submitter.tenant, rules)
    if (fault !== null) {
      const { policy, limit, value, message } = fault
      throw new RoostError('policy-denied', message, {
        errors: [{ in: 'body', pointer: '/task/type', message }],
        extra: policy === null ? {} : { policy, limit, value }
      })
    }
    if (rules === unrestricted) return
    const refused = checkJob(rules, spec, false)
    const [first] = refused
    if (first === undefined) return
    const { policy, limit, value, message } = first
    throw new RoostError('policy-denied', message, {
      errors: refused.map((finding) => ({
        in: 'body',
        pointer: finding.pointer ?? '',
        message: finding.message
      })),
      extra: { policy, limit, value }
    })
  }

  /** Why one job more would be refused now; null where it would not. */
  function quotaRefusal(submitter: Submitter): RoostError | null {
    const rules = rulesOf(submitter)
    if (rules.quotas.length === 0) return null
    const now = clock.now()
    const refused = checkQuotas(rules, usageOf(submitter, now), false)
    return refused.length > 0 ? exceeded(refused, rules, submitter, now) : null
  }

  /** Takes a place for one job more. Throws `quota-exceeded`. */
  function takePlace(submitter: Submitter): Place {
    const rules = rulesOf(submitter)
    if (rules.quotas.length === 0) return freePlace
    const refusal = quotaRefusal(submitter)
    if (refusal !== null) throw refusal
    const now = clock.now()
    const keys = [keyOf('tenant', submitter), keyOf('token', submitter)]
    for (const key of keys) {
      arriving.set(key, (arriving.get(key) ?? 0) + 1)
      submissions.add(key, now)
    }
    return {
      headers: rateHeaders(rules, submitter, now),
      leave(accepted) {
        for (const key of keys) {
          const left = arriving.get(key)! - 1
          if (left === 0) arriving.delete(key)
          else arriving.set(key, left)
          if (!accepted) submissions.undo(key)
        }
      }
    }
  }

  function exceeded(
    refused: readonly Finding[],
    rules: Rules,
    submitter: Submitter,
    now: number
  ): RoostError {
    const seconds = refused.map(({ rule, limit }) => {
      const [kind, name] = rule.split('.')
      if (name !== 'submissionsPerMinute') return retryAfterSeconds[name as keyof typeof retryAfterSeconds]
      const key = keyOf(kind === 'quota' ? 'tenant' : 'token', submitter)
      return Math.ceil(submissions.msUntilBelow(key, Number(limit), now) / 1000)
    })
    const { policy, limit, value, message } = refused[0]!
    return new RoostError('quota-exceeded', message, {
      headers: {
        'retry-after': String(Math.max(1, ...seconds)),
        ...rateHeaders(rules, submitter, now)
      },
      extra: { policy, limit, value }
    })
  }

  /** The RateLimit headers of draft-ietf-httpapi-ratelimit-headers-11; null where no policy bounds submissions. */
  function rateHeaders(rules: Rules, submitter: Submitter, now: number): Record<string, string> | null {
    const bounded = rules.quotas.filter(({ submissionsPerMinute }) => submissionsPerMinute !== null)
    if (bounded.length === 0) return null
    const limits = bounded.map(({ policy, per, submissionsPerMinute }) => {
      const key = keyOf(per, submitter)
      const count = submissions.count(key, now)
      const left = Math.max(0, submissionsPerMinute! - count)
      // Until there is one more than now.
      const reset = submissions.msUntilBelow(key, Math.min(count, submissionsPerMinute!), now)
      return {
        name: `"${policy}${per === 'token' ? ' per token' : ''}"`,
        quota: submissionsPerMinute!,
        left,
        reset
      }
    })
    return {
      'ratelimit-policy': limits
        .map(({ name, quota }) => `${name};q=${quota};w=${windowMs / 1000}`)
        .join(', '),
      ratelimit: limits
        .map(({ name, left, reset }) => `${name};r=${left};t=${Math.ceil(reset / 1000)}`)
        .join(', ')
    }
  }

  return {
    requireAllowed,
    quotaRefusal,
    takePlace,
    /** The job with what the policies give it. */
    prepare: (spec: JobSpec, submitter: Submitter): JobSpec => withDefaults(spec, rulesOf(submitter)),

    /** Every check of the job with what it compares, also those that it passes. */
    explain(asked: JobSpec, submitter: Submitter): PolicyExplanation {
      const { tenant, token } = submitter
      const rules = rulesOf(submitter)
      const spec = withDefaults(asked, rules)
      const fault = findAccountFault(spec, tenant, rules)
      const checks: PolicyCheck[] = [
        ...(fault === null ? [] : [{ ...fault, rule: 'user', verdict: 'refused' as const }]),
        ...[
          ...checkJob(rules, spec, true),
          ...checkQuotas(rules, usageOf(submitter, clock.now()), true),
          ...checkRunning(rules, spec, heldBy(submitter))
        ].map(({ pointer: _, ...check }) => check),
        ...checkNodes(rules)
      ]
      return {
        tenant,
        token,
        allowed: checks.every(({ verdict }) => verdict !== 'refused'),
        policies: [...rules.policies],
        checks,
        spec
      }
    }
  }
}

export type Admission = ReturnType<typeof createAdmission>

interface AccountFault {
  policy: string | null
  limit: string
  value: string
  message: string
}
