import { parseCpu, parseMemory } from '../../src/domain/quantity.ts'
import type { PlacementJob, PlacementNode } from '../../src/domain/placement/index.ts'
import type { JobRecord } from '../../src/domain/job-state.ts'
import type { JobSpec } from '../../src/schemas/job.ts'
import type { SchedulerContext } from './context.ts'
import type { QueueEntry } from './queue.ts'

/** Requests as numbers, defaults filled in (design §2). */
export function requestsOf(spec: JobSpec): { cpu: number; memoryBytes: number; gpu: number } {
  return {
    cpu: parseCpu(spec.resources?.cpu ?? 0.1) ?? 0.1,
    memoryBytes: parseMemory(spec.resources?.memory ?? '64Mi') ?? 64 * 2 ** 20,
    gpu: spec.resources?.gpu ?? 0
  }
}

/** What a job asks of a node. */
export function toPlacementJob(id: string, spec: JobSpec): PlacementJob {
  return {
    id,
    taskType: spec.task.type,
    resources: requestsOf(spec),
    constraints: spec.constraints ?? [],
    locality: spec.placement?.locality ?? 'prefer-local',
    node: spec.placement?.node ?? null
  }
}

export function toQueueEntry(job: JobRecord, waitingFor: Iterable<string>): QueueEntry {
  return {
    ...toPlacementJob(job.id, job.spec),
    tenant: job.tenant,
    priority: job.spec.priority ?? 50,
    createdAt: job.createdAt,
    notBefore: job.notBefore,
    waitingFor: new Set(waitingFor)
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
    allocatable: capacity.allocatable(),
    free: capacity.free(),
    latencyMs: 0,
    recentFailures: 0
  }
}
