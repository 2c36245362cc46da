import fc from 'fast-check'
import t from 'tap'
import { onNodeLoss } from '../../src/domain/job-state.ts'
import { backoffMs, mayRetry } from '../../src/domain/retry.ts'
import { retryCauses } from '../../src/schemas/job.ts'

const retry = fc.record(
  {
    maxAttempts: fc.integer({ min: 1, max: 1000 }),
    backoffSeconds: fc.double({ min: 0, max: 86_400, noNaN: true }),
    maxBackoffSeconds: fc.double({ min: 0, max: 86_400, noNaN: true }),
    on: fc.subarray([...retryCauses])
  },
  { requiredKeys: [] }
)
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

await t.test('the wait doubles, half of it by chance, up to its cap', async (t) => {
  t.same(
    [1, 2, 3, 4].map((made) => backoffMs({}, made, 0)),
    [500, 1000, 2000, 4000]
  )
  t.same(
    [1, 2, 3, 4].map((made) => backoffMs({}, made, 1)),
    [1000, 2000, 4000, 8000]
  )
  t.equal(backoffMs({}, 1000, 1), 60_000)
  t.equal(backoffMs({ backoffSeconds: 0 }, 9, 0.5), 0)
})

await t.test(
  'the wait is finite, within half of the cap and the cap, and never shrinks with attempts',
  async () => {
    fc.assert(
      fc.property(retry, fc.integer({ min: 1, max: 1000 }), random, (retry, made, random) => {
        const cap = (retry.maxBackoffSeconds ?? 60) * 1000
        const wait = backoffMs(retry, made, random)
        return (
          Number.isInteger(wait) &&
          wait >= 0 &&
          wait <= Math.round(cap) &&
          backoffMs(retry, made + 1, random) >= wait
        )
      })
    )
  }
)

await t.test('a retry follows while attempts are left and the cause is one of those named', async () => {
  fc.assert(
    fc.property(
      retry,
      fc.constantFrom(...retryCauses),
      fc.nat(1000),
      (retry, cause, made) =>
        mayRetry(retry, cause, made) ===
        (made < (retry.maxAttempts ?? 1) && (retry.on === undefined || retry.on.includes(cause)))
    )
  )
})

await t.test('a lost node restarts what may be tried again, and else waits', async (t) => {
  const task = { type: 'process' as const, command: ['true'] }
  t.equal(onNodeLoss({ task }), 'wait')
  t.equal(onNodeLoss({ task, retry: { maxAttempts: 2 } }), 'restart')
  t.equal(onNodeLoss({ task, retry: { maxAttempts: 2 }, onNodeLoss: 'fail' }), 'fail')
})
