import { parseCpu, parseMemory } from '../../src/domain/quantity.ts'
import type { PlacementConstraint, PlacementJob, PlacementNode } from '../../src/domain/placement/index.ts'
import {
  currentAttempt,
  preemptions,
  timeoutGraceSeconds,
  timeoutSeconds,
  type JobRecord
} from '../../src/domain/job-state.ts'
import type { JobSpec } from '../../src/schemas/job.ts'
import type { SchedulerContext } from './context.ts'
import { toAmounts } from '../../src/domain/queue/amounts.ts'
import type { RunningJob } from '../../src/domain/queue/running.ts'
import type { WaitingJob } from '../../src/domain/queue/waiting.ts'

/** Requests as numbers, defaults filled in (design §2). */
export function requestsOf(spec: JobSpec): { cpu: number; memoryBytes: number; gpu: number } {
  return {
    cpu: parseCpu(spec.resources?.cpu ?? 0.1) ?? 0.1,
    memoryBytes: parseMemory(spec.resources?.memory ?? '64Mi') ?? 64 * 2 ** 20,
    gpu: spec.resources?.gpu ?? 0
  }
}

/** What a job asks of a node, the conditions of policies (`added`) included. */
export function toPlacementJob(
  id: string,
  spec: JobSpec,
  added: readonly PlacementConstraint[]
): PlacementJob {
  const own = spec.constraints ?? []
  return {
    id,
    taskType: spec.task.type,
    resources: requestsOf(spec),
    constraints: added.length === 0 ? own : [...own, ...added],
    locality: spec.placement?.locality ?? 'prefer-local',
    node: spec.placement?.node ?? null
  }
}

/** From a deadline to the end of what runs: the grace, the kill and its report. */
const endsAfterDeadlineMs = (timeoutGraceSeconds + 1) * 1000

/** A job as the queue keeps it. */
export function toQueueEntry(
  context: SchedulerContext,
  job: Pick<
    JobRecord,
    'id' | 'tenant' | 'submittedBy' | 'submittedByName' | 'spec' | 'createdAt' | 'notBefore' | 'attempts'
  >,
  waitingFor: Iterable<string>
): WaitingJob {
  const { constraints } = context.policies.rulesFor(job.tenant, job.submittedBy, job.submittedByName)
  const asked = toPlacementJob(job.id, job.spec, constraints)
  return {
    ...asked,
    needs: toAmounts(asked.resources),
    token: job.submittedBy,
    tokenName: job.submittedByName,
    longestMs: timeoutSeconds(job.spec) * 1000 + endsAfterDeadlineMs,
    since: job.attempts.at(-1)?.finishedAt ?? job.createdAt,
    preemptedBy: job.attempts.flatMap(({ preemptedBy }) => preemptedBy ?? []),
    tenant: job.tenant,
    priority: job.spec.priority ?? 50,
    createdAt: job.createdAt,
    notBefore: job.notBefore,
    waitingFor: new Set(waitingFor)
  }
}

/** After a change of policies: which nodes each waiting job may use now. */
export function refreshConstraints({ queue, policies }: SchedulerContext): void {
  for (const entry of queue.all()) {
    const { constraints } = policies.rulesFor(entry.tenant, entry.token, entry.tokenName)
    const own = entry.constraints.filter(({ policy }) => policy === undefined)
    if (constraints.length === 0 && own.length === entry.constraints.length) continue
    // What decides where it fits decides its place in the index: it leaves and comes back.
    const wasPinned = queue.pinned().has(entry.id)
    queue.remove(entry.id)
    queue.add({ ...entry, constraints: [...own, ...constraints] })
    if (wasPinned) queue.pin(entry.id)
  }
}

/** A job that has just got its room, before its attempt is stored. */
export function toRunningEntry(entry: WaitingJob, now: number): RunningJob {
  const { id, tenant, token, tokenName, needs, priority } = entry
  return {
    id,
    tenant,
    token,
    tokenName,
    needs,
    priority,
    // Not before it has begun.
    preemptible: false,
    labels: {},
    preemptions: 0,
    startedAt: now,
    endsBy: now + entry.longestMs,
    isEnding: false,
    preemptedFor: null
  }
}

/** A job whose attempt is not over, as the order of the queue sees it. */
export function toRunningJob(job: JobRecord, now: number): RunningJob {
  return {
    id: job.id,
    tenant: job.tenant,
    token: job.submittedBy,
    tokenName: job.submittedByName,
    needs: toAmounts(requestsOf(job.spec)),
    priority: job.spec.priority ?? 50,
    preemptible: job.spec.preemptible ?? false,
    labels: job.spec.labels ?? {},
    preemptions: preemptions(job),
    ...progressOf(job, now, null)
  }
}

/** What changes of a running job; `known` is what was there before. */
export function progressOf(
  job: JobRecord,
  now: number,
  known: RunningJob | null
): Pick<RunningJob, 'startedAt' | 'endsBy' | 'isEnding' | 'preemptedFor'> {
  const attempt = currentAttempt(job)
  const { intent } = job
  const deadline =
    attempt?.deadlineAt == null || attempt.state === 'unknown'
      ? Infinity
      : attempt.deadlineAt + endsAfterDeadlineMs
  const graceEnd = intent === null ? Infinity : now + (intent.graceSeconds + 1) * 1000
  return {
    startedAt: attempt?.startedAt ?? now,
    endsBy: known?.isEnding === true ? Math.min(known.endsBy, graceEnd) : Math.min(deadline, graceEnd),
    isEnding: intent !== null,
    preemptedFor: intent?.preemptedFor ?? null
  }
}

/** This node as placement sees it now. */
export function localNode(context: SchedulerContext): PlacementNode {
  const { node, capacity, runtimes } = context
  return {
    id: node.id,
    name: node.name,
    local: true,
    state: context.draining ? 'draining' : 'ready',
    labels: node.labels,
    taskTypes: runtimes.taskTypes(),
    switchedOff: runtimes.switchedOff(),
    allocatable: capacity.allocatable(),
    free: capacity.free(),
    latencyMs: 0,
    recentFailures: 0
  }
}
