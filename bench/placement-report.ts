import { benchPlacement, benchPlacementOfEquals } from './placement.bench.ts'
import type { BenchReport } from './report.ts'

/** The figures of placement.bench.ts; the whole explanation is the baseline, as it is what a plain loop would do. */
export async function reportPlacement({ quick = false } = {}): Promise<BenchReport> {
  const [mixed, equals] = [
    benchPlacement(10_000, quick ? 100 : 400),
    benchPlacementOfEquals(10_000, quick ? 50 : 200)
  ]
  return {
    name: 'placement',
    title: 'placement: one choice among 10,000 nodes',
    method: `${mixed.jobs} jobs of four kinds over ${mixed.nodes.toLocaleString('en')} nodes of which no two are alike, then ${equals.jobs} jobs over as many equal nodes, where the seed decides. Each job counts with the best of its rounds. Baseline: the explanation of the same choice, with scores and reasons for every node.`,
    figures: [
      { what: 'mixed nodes, p50', value: mixed.p50Ms, baseline: mixed.explainMs, unit: 'ms' },
      { what: 'mixed nodes, p99', value: mixed.p99Ms, unit: 'ms', bar: 'placement.p99Ms' },
      { what: 'mixed nodes, p99 with all that disturbed it', value: mixed.rawP99Ms, unit: 'ms' },
      { what: 'equal nodes, p50', value: equals.p50Ms, baseline: equals.explainMs, unit: 'ms' },
      { what: 'equal nodes, p99', value: equals.p99Ms, unit: 'ms', bar: 'placement.p99Ms' }
    ]
  }
}
