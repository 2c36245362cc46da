import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import {
  choose,
  explain,
  type Choice,
  type PlacementJob,
  type PlacementNode
} from '../src/domain/placement/index.ts'

export interface PlacementResult {
  nodes: number
  jobs: number
  /** Milliseconds of one choice: over the jobs, each at the best of its rounds, so that other work on the machine does not count. */
  p50Ms: number
  p99Ms: number
  /** The same over every single call, other work on the machine included. */
  rawP99Ms: number
  /** Milliseconds of one whole explanation, best of some; for comparison. */
  explainMs: number
}

const GiB = 2 ** 30

/** 32-bit xorshift: the same nodes and jobs in every run. */
function randomSource(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** An id as it comes from JSON: one flat string, not the pieces it was made of. */
const idOf = (index: number): string =>
  JSON.parse(JSON.stringify(`01k${index.toString(32).padStart(23, '0')}`)) as string

function makeNodes(count: number, random: (below: number) => number): PlacementNode[] {
  return Array.from({ length: count }, (_, index) => {
    const cores = 4 << random(4)
    const gpu = random(5) === 0 ? 1 + random(4) : 0
    const allocatable = { cpu: cores, memoryBytes: cores * 4 * GiB, gpu, slots: cores * 8 }
    const taskTypes = new Map([
      ['process', 'process'],
      ['container', random(2) === 0 ? 'kubernetes' : 'docker']
    ])
    if (gpu > 0) taskTypes.set('llm', 'llm')
    return {
      id: idOf(index),
      name: `node-${index}`,
      local: index === 0,
      taskTypes,
      allocatable,
      state: random(50) === 0 ? 'draining' : 'ready',
      latencyMs: random(60),
      recentFailures: random(20) === 0 ? 1 : 0,
      labels: {
        arch: random(4) === 0 ? 'arm64' : 'amd64',
        os: 'linux',
        zone: `zone-${random(12)}`,
        'memory-gib': String(cores * 4),
        ...(gpu > 0 ? { 'gpu-model': 'a100' } : {})
      },
      free: {
        cpu: random(cores * 10 + 1) / 10,
        memoryBytes: random(cores * 4 + 1) * GiB,
        gpu: random(gpu + 1),
        slots: random(cores * 8 + 1)
      }
    }
  })
}

/** Four kinds: anything fits nearly everywhere, labels narrow it down, GPUs are wanted, nothing fits. */
function makeJob(index: number, random: (below: number) => number): PlacementJob {
  const base = {
    id: `job-${index}`,
    taskType: 'process',
    resources: { cpu: 0.1 + random(20) / 10, memoryBytes: (1 + random(8)) * (GiB / 4), gpu: 0 },
    constraints: [],
    locality: 'any',
    node: null
  } satisfies PlacementJob
  switch (index % 4) {
    case 0:
      return { ...base, locality: 'prefer-local', failedOn: [idOf(5)] }
    case 1:
      return {
        ...base,
        taskType: 'container',
        constraints: [
          { key: 'arch', operator: 'In', values: ['amd64'] },
          { key: 'zone', operator: 'NotIn', values: ['zone-1', 'zone-2'] },
          { key: 'memory-gib', operator: 'Gt', values: ['31'] }
        ]
      }
    case 2:
      return {
        ...base,
        taskType: 'llm',
        resources: { ...base.resources, gpu: 1 },
        constraints: [{ key: 'gpu-model', operator: 'Exists' }]
      }
    default:
      return { ...base, resources: { ...base.resources, cpu: 1000 } }
  }
}

const rounds = 5

/** Times `choose` over many jobs and a fleet where no two nodes are alike, and checks each choice. */
export function benchPlacement(nodeCount = 10_000, jobCount = 400): PlacementResult {
  const random = randomSource(42)
  const nodes = makeNodes(nodeCount, random)
  const jobs = Array.from({ length: jobCount }, (_, index) => makeJob(index, random))
  for (const [seed, job] of jobs.slice(0, 20).entries()) {
    assert.equal(
      choose(job, nodes, { seed })?.node ?? null,
      explain(job, nodes, { seed }).choice,
      'the fast path chooses what the explanation does'
    )
  }
  return measure(jobs, nodes, (job, choice) => {
    assert.equal(
      choice === null,
      job.resources.cpu >= 1000,
      'a choice where, and only where, one is to be had'
    )
  })
}

/** The worst case for ties: all nodes alike, so that the seed decides among 10,000. */
export function benchPlacementOfEquals(nodeCount = 10_000, jobCount = 200): PlacementResult {
  const [pattern] = makeNodes(1, randomSource(7))
  const alike = {
    ...pattern!,
    state: 'ready',
    local: false,
    latencyMs: 1,
    free: pattern!.allocatable
  } satisfies PlacementNode
  const nodes = Array.from({ length: nodeCount }, (_, index) => ({
    ...alike,
    id: idOf(index),
    name: `node-${index}`
  }))
  const jobs = Array.from({ length: jobCount }, () => makeJob(0, randomSource(9)))
  const chosen = new Set<string>()
  const result = measure(jobs, nodes, (_job, choice) => chosen.add(choice!.node))
  assert.ok(chosen.size > jobCount * 0.9, 'seeds spread the jobs over the nodes')
  return result
}

function measure(
  jobs: readonly PlacementJob[],
  nodes: readonly PlacementNode[],
  check: (job: PlacementJob, choice: Choice | null) => void
): PlacementResult {
  const best = jobs.map(() => Infinity)
  const all: number[] = []
  for (let round = 0; round <= rounds; round++) {
    for (const [seed, job] of jobs.entries()) {
      const start = performance.now()
      const choice = choose(job, nodes, { seed })
      const took = performance.now() - start
      check(job, choice)
      if (round === 0) continue // the compiler's round
      best[seed] = Math.min(best[seed]!, took)
      all.push(took)
    }
  }
  const explainTimes = jobs.slice(0, 20).map((job, seed) => {
    const start = performance.now()
    explain(job, nodes, { seed })
    return performance.now() - start
  })
  return {
    nodes: nodes.length,
    jobs: jobs.length,
    p50Ms: quantile(best, 0.5),
    p99Ms: quantile(best, 0.99),
    rawP99Ms: quantile(all, 0.99),
    explainMs: Math.min(...explainTimes)
  }
}

function quantile(times: readonly number[], q: number): number {
  const sorted = times.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]!
}

if (process.argv[1] === import.meta.filename) {
  console.table({ mixed: benchPlacement(), equals: benchPlacementOfEquals() })
}
