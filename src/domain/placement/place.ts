import type { Placement } from '../../schemas/placement.ts'
import { demandOf, passes, reasonsAgainst } from './filters.ts'
import { scoreParts, scoringOf, totalScore } from './scores.ts'
import type { Choice, PlacementJob, PlacementNode, PlacementOptions } from './types.ts'

export interface Decision {
  /** Null where no node can take the job now. */
  choice: Choice | null
  /** Why, for every node. */
  placement: Placement
}

/** Decides where the job goes, and says why. Costs some allocations a node: to decide often, `choose`. */
export function place(
  job: PlacementJob,
  nodes: readonly PlacementNode[],
  options: PlacementOptions
): Decision {
  const placement = explain(job, nodes, options)
  const best = placement.candidates[0]
  return {
    choice: best === undefined ? null : { node: best.node, runtime: best.runtime, score: best.score },
    placement
  }
}

/** The choice alone, the fast path: 10,000 nodes in 2 ms (bench/placement.bench.ts). Always the choice of `explain`. */
export function choose(
  job: PlacementJob,
  nodes: readonly PlacementNode[],
  options: PlacementOptions
): Choice | null {
  const demand = demandOf(job)
  const scoring = scoringOf(job, options.strategy ?? 'bin-packing')
  let best: PlacementNode | null = null
  let bestScore = 0
  let bestHash = 0
  // The hash of the best so far is only taken at its first tie.
  let isHashed = false
  for (const node of nodes) {
    if (!passes(demand, node)) continue
    const score = totalScore(scoring, node)
    if (best === null || score > bestScore) {
      best = node
      bestScore = score
      isHashed = false
    } else if (score === bestScore) {
      if (!isHashed) bestHash = seededHash(best.id, options.seed)
      isHashed = true
      const hash = seededHash(node.id, options.seed)
      if (hash < bestHash || (hash === bestHash && node.id < best.id)) {
        best = node
        bestHash = hash
      }
    }
  }
  return best === null
    ? null
    : { node: best.id, runtime: best.taskTypes.get(job.taskType)!, score: bestScore }
}

/** The whole decision: every candidate with its points, best first, and every other node with every reason. */
export function explain(
  job: PlacementJob,
  nodes: readonly PlacementNode[],
  options: PlacementOptions
): Placement {
  const demand = demandOf(job)
  const scoring = scoringOf(job, options.strategy ?? 'bin-packing')
  const candidates: { entry: Placement['candidates'][number]; hash: number }[] = []
  const filtered: Placement['filtered'] = []
  for (const node of nodes) {
    const reasons = reasonsAgainst(demand, node)
    if (reasons.length > 0) {
      filtered.push({ node: node.id, name: node.name, reasons })
    } else {
      const entry = {
        node: node.id,
        name: node.name,
        runtime: node.taskTypes.get(job.taskType)!,
        score: totalScore(scoring, node),
        scores: scoreParts(scoring, node)
      }
      candidates.push({ entry, hash: seededHash(node.id, options.seed) })
    }
  }
  candidates.sort(
    (a, b) => b.entry.score - a.entry.score || a.hash - b.hash || (a.entry.node < b.entry.node ? -1 : 1)
  )
  return {
    choice: candidates[0]?.entry.node ?? null,
    candidates: candidates.map(({ entry }) => entry),
    filtered
  }
}

/** Whether no node in sight could ever take the job as it is: each has a permanent reason, or there is none. */
export function isUnplaceable(placement: Placement): boolean {
  return (
    placement.candidates.length === 0 &&
    placement.filtered.every(({ reasons }) => reasons.some((reason) => reason.permanent))
  )
}

// Random ids differ in their last characters; those that do not are told apart by the whole id.
const hashedCharacters = 12

/** FNV-1a over the seed and the end of an id, mixed once more, so that no node is everybody's first among equals. */
function seededHash(text: string, seed: number): number {
  let hash = 0x811c9dc5 ^ seed
  for (let i = Math.max(0, text.length - hashedCharacters); i < text.length; i++)
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  return (hash ^ (hash >>> 13)) >>> 0
}
