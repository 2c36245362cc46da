import type { PlacementJob, PlacementNode, Strategy } from './types.ts'

/*
 * What a full point of each is worth. `locality` outweighs all others together, as prefer-local promises the local node
 * whenever it can take the job; `not-failed-before` outweighs those below it together.
 */
const weights = {
  locality: 32,
  'not-failed-before': 12,
  fit: 3,
  reliability: 3,
  data: 2,
  'keep-gpus': 1,
  latency: 1
} as const

type ScoreName = keyof typeof weights
const names = Object.keys(weights) as ScoreName[]

// At this round trip a node is worth half of a local one, as far as latency goes.
const halfLatencyMs = 20

/** What to score for one job. */
export interface Scoring {
  job: PlacementJob
  strategy: Strategy
  failedOn: readonly string[]
  wants: readonly string[]
  /** The weights by name; 0 where it would be the same for every node. */
  weight: Record<ScoreName, number>
}

export function scoringOf(job: PlacementJob, strategy: Strategy): Scoring {
  const { failedOn = [], wants = [] } = job
  const weight = {
    ...weights,
    locality: job.locality === 'prefer-local' ? weights.locality : 0,
    'not-failed-before': failedOn.length > 0 ? weights['not-failed-before'] : 0,
    data: wants.length > 0 ? weights.data : 0,
    'keep-gpus': job.resources.gpu === 0 ? weights['keep-gpus'] : 0
  }
  return { job, strategy, failedOn, wants, weight }
}

/**
 * The node's whole score. Rounded to a millionth: a difference that no one could explain does not decide. Direct calls
 * and no list of functions, as each call through a list would allocate its result (bench/placement.bench.ts).
 */
export function totalScore(scoring: Scoring, node: PlacementNode): number {
  const { weight } = scoring
  let total =
    weight.fit * fit(scoring, node) + weight.reliability * reliability(node) + weight.latency * latency(node)
  if (weight['keep-gpus'] > 0) total += weight['keep-gpus'] * keepGpus(node)
  if (weight.data > 0) total += weight.data * data(scoring, node)
  if (weight['not-failed-before'] > 0) total += weight['not-failed-before'] * notFailedBefore(scoring, node)
  if (weight.locality > 0) total += weight.locality * locality(node)
  return round(total)
}

/** What each score adds to the total, the heaviest first. */
export function scoreParts(scoring: Scoring, node: PlacementNode): Record<string, number> {
  const scores: Record<ScoreName, number> = {
    locality: locality(node),
    'not-failed-before': notFailedBefore(scoring, node),
    fit: fit(scoring, node),
    reliability: reliability(node),
    data: data(scoring, node),
    'keep-gpus': keepGpus(node),
    latency: latency(node)
  }
  const counted = names.filter((name) => scoring.weight[name] > 0)
  return Object.fromEntries(counted.map((name) => [name, round(scoring.weight[name] * scores[name])]))
}

const round = (value: number): number => Math.round(value * 1e6) / 1e6

// Each score is 0 (worst) to 1 (best).

const locality = (node: PlacementNode): number => (node.local ? 1 : 0)

const notFailedBefore = ({ failedOn }: Scoring, node: PlacementNode): number =>
  failedOn.includes(node.id) ? 0 : 1

const reliability = ({ recentFailures }: PlacementNode): number =>
  recentFailures === 0 ? 1 : 1 / (1 + recentFailures)

const latency = (node: PlacementNode): number => halfLatencyMs / (halfLatencyMs + node.latencyMs)

/** A job without GPUs does not take the room beside them. */
const keepGpus = (node: PlacementNode): number => (node.allocatable.gpu > 0 ? 0 : 1)

function fit({ job, strategy }: Scoring, { free, allocatable }: PlacementNode): number {
  const { cpu, memoryBytes, gpu } = job.resources
  const sum =
    share(cpu, free.cpu, allocatable.cpu) + share(memoryBytes, free.memoryBytes, allocatable.memoryBytes)
  const fullness = gpu === 0 ? sum / 2 : (sum + share(gpu, free.gpu, allocatable.gpu)) / 3
  return strategy === 'bin-packing' ? fullness : 1 - fullness
}

/** How much of it would be taken with the job there. */
function share(needed: number, free: number, allocatable: number): number {
  return allocatable <= 0 ? 1 : Math.min(1, Math.max(0, 1 - (free - needed) / allocatable))
}

/** The share of what the job wants that is there already. */
function data({ wants }: Scoring, { holds }: PlacementNode): number {
  if (holds === undefined || wants.length === 0) return 0
  let held = 0
  for (const want of wants) if (holds.has(want)) held++
  return held / wants.length
}
