import fc from 'fast-check'
import t from 'tap'
import { dependencyVerdict, findCycle } from '../../src/domain/dependencies.ts'
import { jobStates, type JobState } from '../../src/schemas/job.ts'

const ids = ['a', 'b', 'c', 'd', 'e']
const states = fc
  .dictionary(fc.constantFrom(...ids), fc.constantFrom(...jobStates))
  .map((states) => new Map(Object.entries(states)))

await t.test('a job is ready when all it depends on has succeeded', async (t) => {
  const states = new Map<string, JobState>([
    ['a', 'succeeded'],
    ['b', 'running'],
    ['c', 'queued'],
    ['d', 'cancelled']
  ])
  t.same(dependencyVerdict(states, []), { ready: true })
  t.same(dependencyVerdict(states, ['a', 'gone']), { ready: true })
  t.same(dependencyVerdict(states, ['a', 'b', 'c']), { ready: false, waitingFor: ['b', 'c'] })
  t.same(dependencyVerdict(states, ['b', 'd']), { ready: false, failed: 'd', state: 'cancelled' })
})

await t.test('exactly one verdict holds, and it is the right one', async () => {
  fc.assert(
    fc.property(states, fc.uniqueArray(fc.constantFrom(...ids)), (states, wanted) => {
      const verdict = dependencyVerdict(states, wanted)
      const known = wanted.map((id) => states.get(id)).filter((state) => state !== undefined)
      if (verdict.ready) return known.every((state) => state === 'succeeded')
      if ('failed' in verdict)
        return (
          wanted.includes(verdict.failed) &&
          states.get(verdict.failed) === verdict.state &&
          ['failed', 'cancelled'].includes(verdict.state)
        )
      return (
        verdict.waitingFor.length > 0 &&
        verdict.waitingFor.every((id) => ['queued', 'scheduled', 'running'].includes(states.get(id)!)) &&
        !known.some((state) => state === 'failed' || state === 'cancelled')
      )
    })
  )
})

const graph = fc
  .dictionary(fc.constantFrom(...ids), fc.uniqueArray(fc.constantFrom(...ids, 'outside')))
  .map((edges) => new Map(Object.entries(edges)))

/** Kahn's way: what is left after taking away, over and over, all that depends on nothing left. */
function hasCycle(edges: ReadonlyMap<string, readonly string[]>): boolean {
  const left = new Set(edges.keys())
  for (let before = -1; before !== left.size;) {
    before = left.size
    for (const id of left) if (!edges.get(id)!.some((dependency) => left.has(dependency))) left.delete(id)
  }
  return left.size > 0
}

await t.test('a cycle is found where there is one, and it is one', async () => {
  fc.assert(
    fc.property(graph, (edges) => {
      const cycle = findCycle(edges)
      if (cycle === null) return !hasCycle(edges)
      return (
        cycle.length > 0 &&
        new Set(cycle).size === cycle.length &&
        cycle.every((id, index) => edges.get(id)!.includes(cycle[(index + 1) % cycle.length]!))
      )
    }),
    { numRuns: 1000 }
  )
})

await t.test('long chains and wide diamonds do no harm', async (t) => {
  const chain = new Map<string, string[]>(
    Array.from({ length: 100_000 }, (_, i) => [String(i), [String(i + 1)]])
  )
  t.equal(findCycle(chain), null)
  t.equal(findCycle(new Map(chain).set('100000', ['0']))?.length, 100_001)
  const layers = new Map<string, string[]>()
  for (let layer = 0; layer < 50; layer++) {
    for (let i = 0; i < 10; i++)
      layers.set(
        `${layer}.${i}`,
        Array.from({ length: 10 }, (_, j) => `${layer + 1}.${j}`)
      )
  }
  t.equal(findCycle(layers), null)
})
