import fc from 'fast-check'
import t from 'tap'
import { unrestricted, type Rules } from '../../src/domain/policy.ts'
import { fits, plus } from '../../src/domain/queue/amounts.ts'
import { earliestFit, leavesRoom } from '../../src/domain/queue/backfill.ts'
import { dominantShare, fairShares } from '../../src/domain/queue/fair-share.ts'
import { chooseVictims, nextPreemptible, type PreemptionRules } from '../../src/domain/queue/preemption.ts'
import { describeOverQuota, overQuota } from '../../src/domain/queue/quota.ts'
import { createRunning, type RunningJob } from '../../src/domain/queue/running.ts'
import { cores, node, rulesOf } from '../fixtures/queue-simulation.ts'

const running = (id: string, more: Partial<RunningJob> = {}): RunningJob => ({
  id,
  tenant: 'a',
  token: 'local',
  tokenName: 'local',
  needs: cores(1),
  priority: 10,
  preemptible: true,
  labels: {},
  preemptions: 0,
  startedAt: 0,
  endsBy: 1_000,
  isEnding: false,
  preemptedFor: null,
  ...more
})

const job = (count: number, more = {}) => ({
  id: 'new',
  tenant: 'a',
  priority: 50,
  needs: cores(count),
  preemptedBy: [],
  ...more
})

function rulesFrom(
  jobs: RunningJob[],
  rules: Partial<Rules> = {},
  weights: Record<string, number> = {}
): PreemptionRules {
  const held = createRunning()
  for (const each of jobs) held.put(each)
  const weight = (tenant: string) => weights[tenant] ?? 1
  const shares = fairShares(new Map(['a', 'b'].map((tenant) => [tenant, weight(tenant)])))
  return {
    now: 100_000,
    rulesFor: () => rulesOf(rules),
    weight,
    fairShare: (tenant) => shares.get(tenant)!,
    heldByTenant: held.heldByTenant,
    total: node(8)
  }
}

const victimsOf = (
  asked: ReturnType<typeof job>,
  jobs: RunningJob[],
  free = cores(0),
  rules: Partial<Rules> = {},
  weights = {}
) =>
  chooseVictims(asked, jobs, { ...free, memoryBytes: 0, slots: 100 }, rulesFrom(jobs, rules, weights))?.map(
    ({ id }) => id
  ) ?? null

await t.test('who is ended within a tenant', (t) => {
  const jobs = [
    running('old', { priority: 10, startedAt: 1 }),
    running('young', { priority: 10, startedAt: 2 }),
    running('better', { priority: 20, startedAt: 3 }),
    running('large', { priority: 30, startedAt: 4, needs: cores(4) })
  ]
  t.same(victimsOf(job(1), jobs), ['young'], 'of the least important the youngest')
  t.same(victimsOf(job(3), jobs), ['large'], 'one rather than three')
  t.same(victimsOf(job(5), jobs), ['young', 'large'], 'and none that is not needed')
  t.same(victimsOf(job(8), jobs), null, 'nobody where it would not make it start')
  t.same(victimsOf(job(8), jobs, cores(1)), ['young', 'old', 'better', 'large'])
  t.same(victimsOf(job(1), jobs, cores(1)), null, 'nobody where it fits')
  t.same(victimsOf(job(1, { priority: 10 }), jobs), null, 'none as important as itself')
  t.end()
})

await t.test('who is spared', (t) => {
  const spared: [string, Partial<RunningJob>, Partial<Rules>?, object?][] = [
    ['not preemptible', { preemptible: false }],
    ['ending already', { isEnding: true }],
    ['preempted as often as may be', { preemptions: 3 }],
    ['where policy lets nobody be', {}, { preemption: { maxPerJob: 0, graceSeconds: 1 } }],
    ['the one that it was ended for itself', {}, {}, { preemptedBy: ['x'] }],
    [
      'protected by its label',
      { labels: { keep: 'yes' } },
      {
        eviction: [
          {
            policy: 'p',
            minRunSeconds: 0,
            protectedLabels: { patterns: ['keep=*'], matches: (pair) => pair === 'keep=yes' }
          }
        ]
      }
    ],
    [
      'too young',
      { startedAt: 90_000 },
      { eviction: [{ policy: 'p', minRunSeconds: 11, protectedLabels: null }] }
    ]
  ]
  for (const [name, more, rules = {}, asked = {}] of spared)
    t.equal(victimsOf(job(1, asked), [running('x', more)], cores(0), rules), null, name)
  const rules = () => rulesOf({ eviction: [{ policy: 'p', minRunSeconds: 11, protectedLabels: null }] })
  t.equal(nextPreemptible([running('x', { startedAt: 90_000 })], { now: 100_000, rulesFor: rules }), 101_000)
  t.equal(nextPreemptible([running('x', { startedAt: 1 })], { now: 100_000, rulesFor: rules }), null)
  t.end()
})

await t.test(
  'between tenants: from one above its fair share to one below, and only while that brings them closer',
  (t) => {
    const six = Array.from({ length: 6 }, (_, i) =>
      running(`b${i}`, { tenant: 'b', priority: 90, startedAt: i })
    )
    t.same(victimsOf(job(1, { priority: 0 }), six), ['b5'], 'whatever their priorities')
    t.same(victimsOf(job(2), six), ['b5', 'b4'])
    t.same(victimsOf(job(3), six), null, 'the other comes down to its share first')
    t.same(victimsOf(job(1), six.slice(0, 4)), null, 'it is not above')
    const whole = [running('b', { tenant: 'b', needs: cores(8) })]
    t.same(victimsOf(job(8), whole), null, 'the two would only change places')
    t.same(victimsOf(job(8), whole, cores(0), {}, { a: 2 }), ['b'], 'unless one weighs more')
    t.same(
      victimsOf(job(1), [...six, running('a0', { needs: cores(5), preemptible: false })]),
      null,
      'it is not below'
    )
    t.end()
  }
)

await t.test('what is chosen is needed, allowed and enough, for any jobs', (t) => {
  const some = fc.array(
    fc.record({
      tenant: fc.constantFrom('a', 'b'),
      needs: fc.integer({ min: 1, max: 4 }).map(cores),
      priority: fc.integer({ min: 0, max: 3 }),
      preemptible: fc.boolean(),
      startedAt: fc.nat(5),
      isEnding: fc.boolean()
    }),
    { maxLength: 10 }
  )
  fc.assert(
    fc.property(
      some,
      fc.integer({ min: 1, max: 8 }),
      fc.nat(3),
      fc.nat(3),
      (some, count, priority, freeCores) => {
        const jobs = some.map((more, i) => running(`r${i}`, more))
        const free = { ...cores(freeCores), slots: 100 }
        const asked = job(count, { priority })
        const victims = chooseVictims(asked, jobs, free, rulesFrom(jobs))
        if (victims === null) return true
        const room = (chosen: RunningJob[]) => chosen.reduce((sum, { needs }) => plus(sum, needs), free)
        return (
          fits(asked.needs, room(victims)) &&
          victims.every((left) => !fits(asked.needs, room(victims.filter((one) => one !== left)))) &&
          victims.every(
            ({ preemptible, isEnding, tenant, priority: theirs }) =>
              preemptible && !isEnding && (tenant === 'b' || theirs < priority)
          )
        )
      }
    ),
    { numRuns: 500 }
  )
  t.end()
})

await t.test('a reservation is the earliest time at which the job fits, and what is spare beside it', (t) => {
  const ends = [
    { at: 30, needs: cores(2) },
    { at: 10, needs: cores(1) },
    { at: 20, needs: cores(3) },
    { at: 20, needs: cores(1) }
  ]
  const free = { ...cores(1), slots: 9 }
  t.match(earliestFit(cores(1), free, ends, 5), { at: 5 })
  t.match(earliestFit(cores(2), free, ends, 5), { at: 10, spare: { millicores: 0 } })
  const third = earliestFit(cores(3), free, ends, 5)!
  t.match(third, { at: 20, spare: { millicores: 3000 } }, 'all that end at one time count')
  t.match(earliestFit(cores(2), free, ends, 15), { at: 15 }, 'what is overdue is about to end')
  t.equal(earliestFit(cores(9), free, ends, 5), null)
  const reservation = { jobId: 'j', tenant: 'a', ...third }
  t.equal(leavesRoom({ needs: cores(8), endsBy: 20 }, reservation), true, 'over by then')
  t.equal(leavesRoom({ needs: cores(3), endsBy: 21 }, reservation), true, 'beside it')
  t.equal(leavesRoom({ needs: cores(4), endsBy: 21 }, reservation), false)
  t.end()
})

await t.test('the dominant share counts what there is', (t) => {
  const total = { millicores: 4000, memoryBytes: 1000, gpu: 0, slots: 10 }
  t.equal(dominantShare({ millicores: 1000, memoryBytes: 500, gpu: 0, slots: 1 }, total), 0.5)
  t.equal(dominantShare({ millicores: 0, memoryBytes: 0, gpu: 3, slots: 1 }, total), 0.1)
  t.end()
})

await t.test('a quota says which policy, what it allows and what is there', (t) => {
  const quota = {
    policy: 'team',
    per: 'tenant' as const,
    running: 2,
    queued: null,
    cpu: 0.3,
    memoryBytes: null,
    gpu: null,
    submissionsPerMinute: null,
    logBytes: null
  }
  const held = { tenant: { ...cores(0.1), slots: 1 }, token: cores(0) }
  t.equal(overQuota([quota], held, cores(0.2)), null, 'up to the bound and no less')
  const over = overQuota([quota], held, cores(0.25))!
  t.match(over, { policy: 'team', amount: 'millicores', bound: 300, present: 100, needed: 250 })
  t.equal(
    describeOverQuota(over),
    'Policy "team" allows its tenant 0.3 cores at one time; 0.1 cores in use, and it needs 0.25 cores'
  )
  t.match(
    describeOverQuota(overQuota([quota], held, cores(0.4))!),
    /it never starts while that policy stands/
  )
  t.match(
    describeOverQuota(
      overQuota([{ ...quota, per: 'token' }], { ...held, token: { ...cores(0), slots: 2 } }, cores(0.1))!
    ),
    /Policy "team" allows the token that submitted it 2 running jobs at one time; 2 running jobs in use, and it needs 1 running job/
  )
  t.equal(unrestricted.quotas.length, 0)
  t.end()
})
