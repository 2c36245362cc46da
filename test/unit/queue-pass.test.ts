import t from 'tap'
import { unrestricted, type AppliedQuota, type Rules } from '../../src/domain/policy.ts'
import { minus } from '../../src/domain/queue/amounts.ts'
import { pass } from '../../src/domain/queue/pass.ts'
import { createRunning, type RunningJob } from '../../src/domain/queue/running.ts'
import { createWaiting, type WaitingJob } from '../../src/domain/queue/waiting.ts'
import { cores, node, rulesOf } from '../fixtures/queue-simulation.ts'

const now = 100_000
const total = node(8)

const waitingJob = (id: string, more: Partial<WaitingJob> = {}): WaitingJob => ({
  id,
  tenant: 'a',
  token: 'x',
  tokenName: null,
  priority: 50,
  createdAt: 0,
  since: 0,
  needs: cores(1),
  longestMs: 1_000,
  taskType: 'test/fake',
  resources: { cpu: 1, memoryBytes: 0, gpu: 0 },
  constraints: [],
  locality: 'prefer-local',
  node: null,
  notBefore: null,
  waitingFor: new Set(),
  preemptedBy: [],
  ...more
})

const runningJob = (id: string, more: Partial<RunningJob> = {}): RunningJob => ({
  id,
  tenant: 'a',
  token: 'x',
  tokenName: null,
  needs: cores(1),
  priority: 50,
  preemptible: false,
  labels: {},
  preemptions: 0,
  startedAt: 0,
  endsBy: Infinity,
  isEnding: false,
  preemptedFor: null,
  ...more
})

const quota = (more: Partial<AppliedQuota>): AppliedQuota => ({
  policy: 'p',
  per: 'tenant',
  running: null,
  queued: null,
  cpu: null,
  memoryBytes: null,
  gpu: null,
  submissionsPerMinute: null,
  logBytes: null,
  ...more
})

/** One look; what it starts is in `started`. */
function look(
  runs: RunningJob[],
  waits: WaitingJob[],
  rulesFor: (tenant: string, token: string) => Rules = () => unrestricted
) {
  const [waiting, running] = [createWaiting(30_000), createRunning()]
  for (const job of runs) running.put(job)
  for (const job of waits) waiting.add(job)
  const started: string[] = []
  const outcome = pass({
    waiting,
    running,
    rulesFor,
    total,
    free: runs.reduce((left, { needs }) => minus(left, needs), total),
    now,
    suits: () => true,
    start({ id, tenant, token, needs }) {
      waiting.remove(id)
      running.put(runningJob(id, { tenant, token, needs }))
      started.push(id)
      return true
    }
  })
  return { ...outcome, started }
}

/** So many jobs of the greedy tenant, each of a shape of its own. */
const shapes = (count: number, more: Partial<WaitingJob> = {}): WaitingJob[] =>
  Array.from({ length: count }, (_, i) =>
    waitingJob(`g${String(i).padStart(6, '0')}`, {
      tenant: 'greedy',
      needs: { ...cores(0.1), memoryBytes: 2 ** 20 + i },
      ...more
    })
  )

await t.test('a tenant over its quota does not keep others out, however many shapes wait', (t) => {
  const quotas: [string, AppliedQuota][] = [
    ['running', quota({ running: 1 })],
    ['running, per token', quota({ per: 'token', running: 1 })],
    ['memory', quota({ memoryBytes: 2 ** 20 })],
    ['cores', quota({ cpu: 0.1 })]
  ]
  for (const [name, each] of quotas) {
    // Its share is the smaller one: it stays the first to be looked at.
    const runs = [
      runningJob('r', { tenant: 'greedy', needs: { ...cores(0.1), memoryBytes: 1 } }),
      runningJob('s', { tenant: 'small', needs: cores(2) })
    ]
    const { started } = look(runs, [...shapes(6_000), waitingJob('z', { tenant: 'small' })], (tenant) =>
      tenant === 'greedy' ? rulesOf({ quotas: [each] }) : unrestricted
    )
    t.same(started, ['z'], name)
  }
  t.end()
})

await t.test('one token over its quota does not keep out the others of its tenant', (t) => {
  const rules = rulesOf({ quotas: [quota({ per: 'token', running: 1 })] })
  const { started } = look(
    [runningJob('r', { tenant: 'greedy' })],
    [...shapes(6_000), waitingJob('z', { tenant: 'greedy', token: 'y', priority: 0 })],
    () => rules
  )
  t.same(started, ['z'])
  t.end()
})

await t.test('what the reservation does not let in keeps nobody out, however many shapes wait', (t) => {
  const reserved = waitingJob('first', { tenant: 'greedy', priority: 100, needs: cores(8) })
  const { started, reservation } = look(
    [runningJob('r', { tenant: 'small', endsBy: now + 5_000 })],
    [
      reserved,
      ...shapes(6_000, { longestMs: 1e6 }),
      waitingJob('z', { tenant: 'small', priority: 0, longestMs: 1_000 })
    ]
  )
  t.equal(reservation?.jobId, 'first')
  t.same(started, ['z'])
  t.end()
})

await t.test('a tenant’s own small job starts behind thousands that its quota keeps out', (t) => {
  const rules = rulesOf({ quotas: [quota({ gpu: 0 })] })
  const { started } = look(
    [],
    [
      ...shapes(4_000).map((job) => ({ ...job, needs: { ...job.needs, gpu: 1 } })),
      waitingJob('z', { tenant: 'greedy', priority: 0 })
    ],
    () => rules
  )
  t.same(started, ['z'])
  t.end()
})

await t.test('a look at the queue ends, however many lines a quota keeps out', (t) => {
  const rules = rulesOf({ quotas: [quota({ memoryBytes: 1 })] })
  let asked = 0
  look([], shapes(20_000), () => {
    asked++
    return rules
  })
  t.ok(asked < 6_000, `${asked} were looked at`)
  t.end()
})

await t.test('a job that its quota never lets start holds up nobody', (t) => {
  const never = waitingJob('never', { needs: { ...cores(4), memoryBytes: 1_000 } })
  const behind = waitingJob('behind', { createdAt: 1, needs: { ...cores(1), memoryBytes: 1 } })
  // Of cores it has too many now, of memory for ever; in one policy or in two.
  for (const quotas of [
    [quota({ cpu: 4, memoryBytes: 100 })],
    [quota({ cpu: 4 }), quota({ per: 'token', memoryBytes: 100 })]
  ])
    t.same(look([runningJob('r')], [never, behind], () => rulesOf({ quotas })).started, ['behind'])
  const waits = { ...never, needs: cores(4) }
  const rules = rulesOf({ quotas: [quota({ cpu: 4 })] })
  t.same(look([runningJob('r')], [waits, behind], () => rules).started, [], 'one that may start later does')
  t.end()
})

await t.test(
  'the queue is looked at again when the first attempt has run long enough to be preempted',
  (t) => {
    const rules = rulesOf({ eviction: [{ policy: 'p', minRunSeconds: 60, protectedLabels: null }] })
    const runs = [
      runningJob('r', { needs: cores(8), priority: 0, preemptible: true, startedAt: now - 10_000 })
    ]
    t.match(
      look(runs, [waitingJob('w')], () => rules),
      { preempt: null, lookAgainAt: now + 50_000 }
    )
    t.match(look(runs, [waitingJob('w')]), { preempt: { job: { id: 'w' } }, lookAgainAt: null })
    t.end()
  }
)

await t.test('nobody is ended for a job that would delay the reserved one', (t) => {
  const runs = [
    runningJob('victim', { tenant: 'b', priority: 0, preemptible: true, endsBy: now + 5_000 }),
    runningJob('rest', { tenant: 'c', needs: cores(7), endsBy: now + 5_000 })
  ]
  const reserved = waitingJob('reserved', { tenant: 'a', needs: cores(8) })
  const preempts = (longestMs: number) =>
    look(runs, [reserved, waitingJob('other', { tenant: 'b', priority: 90, longestMs })])
  t.match(preempts(5_001), { reservation: { jobId: 'reserved', at: now + 5_000 }, preempt: null })
  t.match(preempts(5_000), { preempt: { job: { id: 'other' }, victims: [{ id: 'victim' }] } })
  t.end()
})
