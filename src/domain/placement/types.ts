import type { Constraint } from '../../schemas/job.ts'
import type { NodeStatus } from '../../schemas/node.ts'

/** What a job needs of a node: requests, not limits. */
export interface Needs {
  /** Cores. */
  cpu: number
  memoryBytes: number
  gpu: number
}

/** A condition on labels of the node: the job's own, or one that a policy adds. */
export type PlacementConstraint = Constraint & { policy?: string }

export interface PlacementJob {
  id: string
  taskType: string
  resources: Needs
  constraints: readonly PlacementConstraint[]
  locality: 'local-only' | 'prefer-local' | 'any'
  /** Id or name of the only node that will do; null = any. */
  node: string | null
  /** Ids of nodes where an attempt of it failed: tried again only when no better is left. */
  failedOn?: readonly string[]
  /** What would be there already on a good node: `image:busybox:1.36`, `model:gemma3:270m`, `sha256:…`. */
  wants?: readonly string[]
}

export interface PlacementNode {
  id: string
  name: string
  /** True for the node that decides. */
  local: boolean
  state: NodeStatus['state']
  labels: Readonly<Record<string, string>>
  /** Task type -> name of the runtime that takes it here. */
  taskTypes: ReadonlyMap<string, string>
  /** Task type -> why it is switched off there. */
  switchedOff?: ReadonlyMap<string, string>
  allocatable: Needs & { slots: number }
  free: Needs & { slots: number }
  /** Measured round trip to it; 0 for the local one. */
  latencyMs: number
  /** Attempts that could not be started or were lost there lately. */
  recentFailures: number
  /** Of what jobs may want: images, warm models, artifacts. */
  holds?: ReadonlySet<string>
}

/** `bin-packing` fills nodes up and keeps room for large jobs; `spread` leaves each job the most room. */
export type Strategy = 'bin-packing' | 'spread'

export interface PlacementOptions {
  /** Decides between equals; the same seed decides the same, whatever the order of the nodes. */
  seed: number
  /** Default: bin-packing. */
  strategy?: Strategy
}

export interface Choice {
  /** Id of the node. */
  node: string
  runtime: string
  score: number
}

export interface Reason {
  code: string
  /** For a person, with the numbers. */
  message: string
  /** True where waiting will not help: this node can never take the job as it is. */
  permanent: boolean
}
