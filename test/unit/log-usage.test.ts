import t from 'tap'
import { createLogUsage } from '../../plugins/scheduler/log-usage.ts'
import { unrestricted, type AppliedQuota } from '../../src/domain/policy.ts'
import { createFakeClock } from '../fake-clock.ts'

const bounded = (per: AppliedQuota['per'], logBytes: number) => ({
  ...unrestricted,
  quotas: [
    {
      policy: 'p',
      per,
      running: null,
      queued: null,
      cpu: null,
      memoryBytes: null,
      gpu: null,
      submissionsPerMinute: null,
      logBytes
    }
  ]
})

/** A storage whose sum is read when the test says so. */
function open() {
  const clock = createFakeClock()
  const reads: ((rows: { token: string; bytes: number }[]) => void)[] = []
  const usage = createLogUsage({ logUsage: () => new Promise((resolve) => void reads.push(resolve)) }, clock)
  return { clock, usage, reads }
}

await t.test('what is on its way counts, and no longer where it was not stored', async (t) => {
  const { usage, reads } = open()
  const loaded = usage.load('a')
  reads[0]!([{ token: 'x', bytes: 10 }])
  await loaded
  const [one, two] = [usage.reserve('a', 'x', 5), usage.reserve('a', 'y', 7)]
  t.equal(usage.room(bounded('tenant', 100), 'a', 'x'), 78)
  t.equal(usage.room(bounded('token', 100), 'a', 'x'), 85)
  one(true)
  two(false)
  t.equal(usage.of('tenant', 'a', 'x'), 15)
  t.equal(usage.of('token', 'a', 'y'), 0)
  t.equal(usage.room(unrestricted, 'a', 'x'), Infinity)
  t.equal(usage.room(bounded('tenant', 4), 'a', 'x'), 0)
})

await t.test('what is stored while the sum is read is never missed, and the sum is read again', async (t) => {
  const { usage, reads } = open()
  const before = usage.reserve('a', 'x', 3)
  const loaded = usage.load('a')
  const meanwhile = usage.reserve('a', 'x', 5)
  meanwhile(true)
  reads[0]!([])
  await loaded
  t.equal(usage.of('tenant', 'a', 'x'), 8)
  before(true)
  const again = usage.load('a')
  t.equal(reads.length, 2)
  reads[1]!([{ token: 'x', bytes: 8 }])
  await again
  t.equal(usage.of('tenant', 'a', 'x'), 8)
  await usage.load('a')
  t.equal(reads.length, 2, 'now it is known')
})

await t.test('the sum is read once for all who ask, again after a minute or a removal', async (t) => {
  const { usage, reads, clock } = open()
  const both = [usage.load('a'), usage.load('a')]
  t.equal(reads.length, 1)
  reads[0]!([])
  await Promise.all(both)
  clock.advance(60_000)
  const later = usage.load('a')
  reads[1]!([{ token: 'x', bytes: 9 }])
  await later
  usage.forget()
  t.equal(usage.of('tenant', 'a', ''), 9, 'the old sum holds until then')
  void usage.load('a')
  t.equal(reads.length, 3)
})
