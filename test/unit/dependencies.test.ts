import fc from 'fast-check'
import t from 'tap'
import { dependencyVerdict } from '../../src/domain/dependencies.ts'
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
