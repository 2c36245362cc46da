import { compileSchema } from '../../src/validation.ts'
import type { Requester } from '../../src/audit.ts'
import type { JobReader, Transaction } from '../../src/contracts/storage.ts'
import { dependencyVerdict, type DependencyVerdict } from '../../src/domain/dependencies.ts'
import { validateConstraint } from '../../src/domain/placement/constraints.ts'
import type { Rules, Submitter } from '../../src/domain/policy.ts'
import { decide } from '../../src/domain/decide.ts'
import { createJob, isFinished, type JobRecord } from '../../src/domain/job-state.ts'
import { toJob } from '../../src/domain/job-view.ts'
import { choose, explain, isUnplaceable, type PlacementJob } from '../../src/domain/placement/index.ts'
import { RoostError } from '../../src/errors.ts'
import { newId } from '../../src/ids.ts'
import type { FrameBody } from '../../src/schemas/frame.ts'
import type { Job, JobSpec } from '../../src/schemas/job.ts'
import type { Placement } from '../../src/schemas/placement.ts'
import type { PolicyExplanation } from '../../src/schemas/policy.ts'
import { tokenNameOf, type Principal } from '../../src/schemas/token.ts'
import type { FieldError } from '../../src/schemas/problem.ts'
import { createAdmission } from './admission.ts'
import type { SchedulerContext } from './context.ts'
import { createIdempotency, type KeepKey, type Submitted } from './idempotency.ts'
import { localNode, toPlacementJob, toQueueEntry } from './placing.ts'
import { traceVariable, withTrace } from './traces.ts'
import { keepWebhook } from './webhook.ts'

const submitterOf = (principal: Principal): Submitter => ({
  tenant: principal.tenant,
  token: principal.tokenId,
  tokenName: tokenNameOf(principal)
})

const submitterOfJob = ({ tenant, submittedBy, submittedByName }: JobRecord): Submitter => ({
  tenant,
  token: submittedBy,
  tokenName: submittedByName
})

export interface SubmitOptions extends Requester {
  /** Given by the client; the same key and body replay the first answer. */
  idempotencyKey?: string
  /** Refuse where an unfinished job has the same name. */
  uniqueName?: boolean
  /** The job of which this is another run: it is that one's submitter who submits it. */
  rerunOf?: JobRecord
}

/** What a task takes beyond the right to submit jobs. Throws `forbidden`. */
function requireTaskScope({ task }: JobSpec, { name, scopes }: Principal): void {
  if (task.type === 'llm' && !scopes.has('llm:invoke'))
    throw new RoostError(
      'forbidden',
      `An llm task needs the scope llm:invoke too; the token "${name}" has ${[...scopes].join(', ')}`,
      { kind: 'scope' }
    )
}

/** Checks, explains and accepts jobs. */
export function createAccept(context: SchedulerContext, bodyKey: Buffer) {
  const { storage, clock, queue, runtimes, node } = context
  const idempotency = createIdempotency({ storage, clock, bodyKey })
  const admission = createAdmission(context)
  const taskChecks = new Map<string, (task: unknown) => FieldError[]>()

  const rulesOf = ({ tenant, token, tokenName }: Submitter): Rules =>
    context.policies.rulesFor(tenant, token, tokenName)

  /** What no schema can say. Every field at fault at once. */
  function check(spec: JobSpec): void {
    const errors: FieldError[] = []
    const { task } = spec
    if (task.type === 'process' && 'command' in task && Array.isArray(task.command) && task.command[0] === '')
      errors.push({ in: 'body', pointer: '/task/command/0', message: 'is empty; name a program' })
    if (task.type.includes('/')) {
      const schema = runtimes.forTask(task.type)?.taskSchema
      if (schema !== undefined) {
        let validate = taskChecks.get(task.type)
        if (validate === undefined) taskChecks.set(task.type, (validate = compileSchema(schema)))
        for (const error of validate(task)) errors.push({ ...error, pointer: `/task${error.pointer}` })
      }
    }
    for (const [index, constraint] of (spec.constraints ?? []).entries()) {
      for (const { pointer, message } of validateConstraint(constraint))
        errors.push({ in: 'body', pointer: `/constraints/${index}${pointer}`, message })
    }
    if (spec.workspace !== undefined)
      errors.push({
        in: 'body',
        pointer: '/workspace',
        message: 'is not supported yet: this version keeps no artifacts; leave it out'
      })
    if (spec.outputs !== undefined)
      errors.push({
        in: 'body',
        pointer: '/outputs',
        message: 'is not supported yet: this version keeps no artifacts; leave it out'
      })
    if (errors.length > 0)
      throw new RoostError('invalid', `${errors[0]!.pointer} ${errors[0]!.message}`, { errors })
  }

  const asPlacementJob = (spec: JobSpec, submitter: Submitter): PlacementJob =>
    toPlacementJob('new', spec, rulesOf(submitter).constraints)

  function explainNow(job: PlacementJob): Placement {
    return explain(job, [localNode(context)], { seed: 0 })
  }

  /** What waiting could never make possible. */
  function unplaceable(job: PlacementJob): RoostError | null {
    const empty = localNode(context)
    empty.free = empty.allocatable
    if (choose(job, [empty], { seed: 0 }) !== null) return null
    const placement = explainNow(job)
    if (placement.choice !== null || !isUnplaceable(placement)) return null
    const reasons = placement.filtered.flatMap((filtered) =>
      filtered.reasons
        .filter((reason) => reason.permanent)
        .map((reason) => `${filtered.name}: ${reason.message}`)
    )
    return new RoostError('unplaceable', `No node in sight could ever run this job (${reasons.join('; ')})`, {
      extra: { placement }
    })
  }

  function drained(): RoostError | null {
    return context.draining
      ? new RoostError(
          'draining',
          `Node ${node.name} is draining and takes no jobs; undrain it with: roost undrain`,
          { headers: { 'retry-after': '30' } }
        )
      : null
  }

  async function loadLogUsage(submitter: Submitter): Promise<void> {
    const { logUsage } = context
    if (logUsage.isBounded(rulesOf(submitter))) await logUsage.load(submitter.tenant)
  }

  /** What the job waits for. Throws `invalid` where it names a job that this tenant does not have. */
  async function requireDependencies(
    jobs: Pick<JobReader, 'states'>,
    tenant: string,
    spec: JobSpec
  ): Promise<DependencyVerdict> {
    const dependsOn = spec.dependsOn ?? []
    if (dependsOn.length === 0) return { ready: true }
    const states = await jobs.states(tenant, dependsOn)
    const errors = dependsOn.flatMap((id, index): FieldError[] =>
      states.has(id)
        ? []
        : [
            {
              in: 'body',
              pointer: `/dependsOn/${index}`,
              message: 'names no job; a job can depend only on jobs that exist already, so a cycle cannot be'
            }
          ]
    )
    if (errors.length > 0)
      throw new RoostError('invalid', `${errors[0]!.pointer} ${errors[0]!.message}`, { errors })
    return dependencyVerdict(states, dependsOn)
  }

  /** One transaction: the job, its first frames, its audit record and the key. Nothing here touches memory. */
  async function insert(
    tx: Transaction,
    spec: JobSpec,
    { tenant, token, tokenName }: Submitter,
    options: SubmitOptions,
    now: number
  ): Promise<{ job: JobRecord; waitingFor: string[]; frames: FrameBody[] }> {
    const verdict = await requireDependencies(tx.jobs, tenant, spec)
    const waitingFor = 'waitingFor' in verdict ? verdict.waitingFor : []
    if (options.uniqueName === true && spec.name !== undefined) {
      const other = await tx.jobs.findUnfinishedByName(tenant, spec.name)
      if (other !== null)
        throw new RoostError('name-in-use', `Job ${other.id} is named "${spec.name}" and is ${other.state}`, {
          extra: { jobId: other.id }
        })
    }
    const created = createJob(newId(now), tenant, spec, now, token, tokenName)
    let { job } = created
    const frames: FrameBody[] = created.frames
    if (waitingFor.length > 0)
      job = {
        ...job,
        reason: 'dependencies',
        message: `Waits for ${waitingFor.length === 1 ? `job ${waitingFor[0]}` : `${waitingFor.length} jobs`} to succeed`
      }
    await tx.jobs.insert(job)
    if ('failed' in verdict) {
      const outcome = decide(
        job,
        { type: 'dependency-failed', dependency: verdict.failed, state: verdict.state },
        now,
        0
      )
      if (outcome.ok) {
        job = outcome.job
        frames.push(...outcome.frames)
        await tx.jobs.update(job)
        await keepWebhook(tx, job)
      }
    }
    const lastSeq = await tx.events.append(job.id, frames)
    const rerunOf = options.rerunOf?.id
    await tx.audit.append(
      context.audit(options, rerunOf === undefined ? 'job.submit' : 'job.rerun', job.id, {
        name: spec.name,
        task: spec.task.type,
        rerunOf
      })
    )
    return { job: { ...job, lastSeq }, waitingFor, frames }
  }

  function enqueue(job: JobRecord, waitingFor: string[]): void {
    if (isFinished(job.state)) {
      context.observe.finished(job)
      if (job.spec.webhook !== undefined) context.webhooks.wake()
      return
    }
    const entry = toQueueEntry(context, job, waitingFor)
    queue.add(entry)
    context.wake(entry)
  }

  async function acceptNew(
    asked: JobSpec,
    options: SubmitOptions,
    traceparent: string | undefined,
    keepKey: KeepKey | null
  ): Promise<Submitted> {
    check(asked)
    const { principal, rerunOf } = options
    const submitter = rerunOf === undefined ? submitterOf(principal) : submitterOfJob(rerunOf)
    const prepared = admission.prepare(asked, submitter)
    admission.requireAllowed(prepared, submitter)
    // Who may not submit it may not have it run by another one's leave.
    if (rerunOf?.tenant === principal.tenant) admission.requireAllowed(prepared, submitterOf(principal))
    // Not before: policies speak of what the job asks, and this is the service's own.
    const spec = withTrace(prepared, traceparent)
    const refusal = drained() ?? unplaceable(asPlacementJob(spec, submitter))
    if (refusal !== null) throw refusal
    if (spec.webhook !== undefined) await context.webhooks.require(spec.webhook, submitter)
    await loadLogUsage(submitter)
    const place = admission.takePlace(submitter)
    let accepted: Awaited<ReturnType<typeof store>> | null = null
    try {
      accepted = await store(spec, submitter, options, keepKey)
      context.observe.accepted()
      context.observe.appended(accepted.frames)
      enqueue(accepted.record, accepted.waitingFor)
    } finally {
      place.leave(accepted !== null)
    }
    return { job: accepted.job, replayed: false, headers: place.headers }
  }

  async function store(spec: JobSpec, submitter: Submitter, options: SubmitOptions, keepKey: KeepKey | null) {
    const now = clock.now()
    return await storage.write(async (tx) => {
      const { job: record, waitingFor, frames } = await insert(tx, spec, submitter, options, now)
      const job = toJob(record)
      if (keepKey !== null) await keepKey(tx, job, now)
      return { record, waitingFor, frames, job }
    })
  }

  return {
    /**
     * Accepts a job: when this resolves it is on disk. Throws `invalid`, `forbidden`, `unplaceable`, `name-in-use`,
     * `idempotency-mismatch`, `idempotency-in-flight`, `policy-denied`, `quota-exceeded`, `draining`, `storage-unavailable`.
     */
    async submit(spec: JobSpec, options: SubmitOptions): Promise<Submitted> {
      const { tenant } = options.principal
      requireTaskScope(spec, options.principal)
      return await context.observe.traces.accept(options.traceparent, (stored) =>
        idempotency.once(tenant, options.idempotencyKey, spec, (keep) =>
          acceptNew(spec, options, stored, keep)
        )
      )
    },

    /** Where the job would go now and why, and what refuses it; stores nothing. Throws `invalid`, `forbidden`, `policy-denied`. */
    async plan(spec: JobSpec, principal: Principal): Promise<Placement> {
      requireTaskScope(spec, principal)
      check(spec)
      const submitter = submitterOf(principal)
      const prepared = admission.prepare(spec, submitter)
      admission.requireAllowed(prepared, submitter)
      if (spec.webhook !== undefined) await context.webhooks.require(spec.webhook, submitter)
      await requireDependencies(storage.jobs, principal.tenant, spec)
      await loadLogUsage(submitter)
      const job = asPlacementJob(prepared, submitter)
      const refusal = drained() ?? unplaceable(job) ?? admission.quotaRefusal(submitter)
      return {
        ...explainNow(job),
        refusal: refusal === null ? null : { code: refusal.code, message: refusal.message }
      }
    },

    /**
     * What the policies say of the job, stores nothing. An admin may ask for another tenant. Throws `invalid`,
     * `forbidden`.
     */
    async explainPolicies(
      spec: JobSpec,
      principal: Principal,
      tenant = principal.tenant
    ): Promise<PolicyExplanation> {
      if (tenant !== principal.tenant && !principal.scopes.has('admin'))
        throw new RoostError('forbidden', 'Asking for another tenant needs the scope admin')
      check(spec)
      await context.logUsage.load(tenant)
      return admission.explain(
        spec,
        tenant === principal.tenant ? submitterOf(principal) : { tenant, token: '', tokenName: null }
      )
    },

    /**
     * The same spec once more, as a job of its own. It belongs to the tenant and the token of the first one, whoever asks:
     * nobody's spec gets the rights of another. Throws `job-not-found` and what `submit` throws.
     */
    async rerun(id: string, options: SubmitOptions): Promise<Job> {
      const earlier = await context.require(id, options.principal)
      const { dependsOn: _, ...spec } = earlier.spec
      // The rerun is part of the trace of whoever asks for it.
      const { [traceVariable]: _trace, ...env } = spec.env ?? {}
      return (
        await this.submit(spec.env === undefined ? spec : { ...spec, env }, { ...options, rerunOf: earlier })
      ).job
    }
  }
}
