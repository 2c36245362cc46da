import fc from 'fast-check'
import t from 'tap'
import { compilePolicy, joinRules, nameList } from '../../plugins/policies/compile.ts'
import { checkJob, checkQuotas, withDefaults } from '../../src/domain/policy-checks.ts'
import {
  allowsPrivateAddress,
  evictionRefusal,
  unrestricted,
  webhookRefusal
} from '../../src/domain/policy.ts'
import type { JobSpec } from '../../src/schemas/job.ts'
import type { Policy } from '../../src/schemas/policy.ts'

const rulesOf = (...policies: Omit<Policy, 'name' | 'tenants'>[]) =>
  joinRules(
    policies.map((policy, at) => compilePolicy({ name: `p${at}`, tenants: ['*'], ...policy })),
    'a'
  )
const process: JobSpec = { task: { type: 'process', command: ['true'] } }
const container = (image: string): JobSpec => ({ task: { type: 'container', image } })
const refusals = (rules: ReturnType<typeof rulesOf>, spec: JobSpec) =>
  checkJob(rules, spec, false).map(({ rule }) => rule)

await t.test('a policy applies to tenants and tokens by globs', async (t) => {
  const { appliesTo } = compilePolicy({
    name: 'p',
    tenants: ['student-*', 'guest'],
    tokens: ['ci-*', '01k?']
  })
  t.ok(appliesTo('student-7', 'id', 'ci-1'), 'by the name of the token')
  t.ok(appliesTo('guest', '01kx', null), 'by its id')
  t.notOk(appliesTo('guest', 'id', null))
  t.notOk(appliesTo('a-student-7', '01kx', null), 'a glob is the whole name')
  t.notOk(appliesTo('guests', '01kx', null))
  t.ok(compilePolicy({ name: 'p', tenants: ['*'] }).appliesTo('any', '', null))
})

await t.test('names are compared as a whole, whatever they hold', async (t) => {
  const list = nameList(['tier=*', 'A_?', 'x{1,2}', 'a.b'])
  for (const name of [
    'tier=prod',
    'tier=a/b',
    'tier=a/../b',
    'tier=..',
    'tier=a\nb',
    'tier=',
    'A_B',
    'x1',
    'a.b'
  ])
    t.ok(list.matches(name), name)
  for (const name of ['tier', 'xtier=a', 'A_', 'A_BC', 'x3', 'aXb', 'a.b\n', ''])
    t.notOk(list.matches(name), name)
})

await t.test('images are matched as written or in their full form, and never by a look-alike', async (t) => {
  const rules = rulesOf({ allow: { images: ['registry.lan/team/**', 'docker.io/library/*', 'alpine:3.*'] } })
  for (const image of [
    'registry.lan/team/app:1',
    'registry.lan/team/deep/app@sha256:00ff',
    'busybox',
    'busybox:1.36',
    'library/busybox',
    'docker.io/library/busybox:1',
    'alpine:3.20'
  ])
    t.same(refusals(rules, container(image)), [], image)
  for (const image of [
    'registry.lan/other/app',
    'registry.lan.evil.io/team/app',
    'evil.io/registry.lan/team/app',
    'evil.io/library/busybox',
    'registry.lan/team/../evil/app',
    'someone/busybox',
    'localhost/library/busybox',
    'someone/alpine:3.20'
  ])
    t.same(refusals(rules, container(image)), ['allow.images'], image)
  t.same(refusals(rules, process), [], 'only containers have images')
})

await t.test('the strictest of all policies that apply wins', async (t) => {
  const rules = rulesOf(
    {
      weight: 4,
      job: { cpu: 8 },
      allow: { taskTypes: ['process', 'container'] },
      preemption: { maxPerJob: 5 }
    },
    {
      weight: 2,
      job: { cpu: 2 },
      allow: { taskTypes: ['process'] },
      preemption: { maxPerJob: 1, graceSeconds: 30 }
    },
    { preemption: { graceSeconds: 5 } }
  )
  t.match(rules, { weight: 2, preemption: { maxPerJob: 1, graceSeconds: 30 } })
  t.same(refusals(rules, { ...process, resources: { cpu: 3 } }), ['job.cpu'])
  t.same(refusals(rules, { ...process, resources: { cpu: 9 } }), ['job.cpu', 'job.cpu'])
  t.match(checkJob(rules, container('x'), false), [{ policy: 'p1', rule: 'allow.taskTypes' }])
  t.equal(joinRules([], 'a'), unrestricted)
})

await t.test('a job is held to its ceilings by what it requests and by its limits', async (t) => {
  const rules = rulesOf({ job: { cpu: '500m', memory: '1Gi', gpu: 1, timeoutSeconds: 60 } })
  t.same(
    refusals(rules, { ...process, timeoutSeconds: 60, resources: { cpu: 0.5, memory: '1Gi', gpu: 1 } }),
    []
  )
  t.same(refusals(rules, { ...process, limits: { cpu: 1, memory: '2Gi', gpu: 2 } }), [
    'job.cpu',
    'job.memory',
    'job.gpu'
  ])
  t.same(refusals(rules, { ...process, timeoutSeconds: 60.5 }), ['job.timeoutSeconds'])
})

await t.test('defaults fill in what a job does not say', async (t) => {
  t.match(withDefaults(process, unrestricted), { timeoutSeconds: 3600 })
  t.notOk('limits' in withDefaults(process, unrestricted))
  const rules = rulesOf(
    { defaults: { timeoutSeconds: 600, limits: { cpu: 4, memory: '1Gi' } }, job: { cpu: 2 } },
    { defaults: { timeoutSeconds: 900 } }
  )
  t.match(withDefaults(process, rules), { timeoutSeconds: 600, limits: { cpu: 2, memory: 2 ** 30 } })
  t.match(withDefaults({ ...process, timeoutSeconds: 5, limits: { cpu: 1 } }, rules), {
    timeoutSeconds: 5,
    limits: { cpu: 1, memory: 2 ** 30 }
  })
})

await t.test('eviction: a time and labels', async (t) => {
  const rules = rulesOf({ eviction: { minRunSeconds: 60, protectedLabels: ['tier=prod', 'keep=*'] } })
  t.equal(evictionRefusal(rules, {}, 60), null)
  t.match(evictionRefusal(rules, {}, 59.9), { policy: 'p0', limit: 60, value: 59 })
  t.match(evictionRefusal(rules, { labels: { tier: 'prod' } }, 1e9), { value: 'tier=prod' })
  t.match(evictionRefusal(rules, { labels: { keep: '' } }, 1e9), { value: 'keep=' })
  t.equal(evictionRefusal(rules, { labels: { tier: 'production' } }, 1e9), null)
  t.equal(evictionRefusal(unrestricted, { labels: { tier: 'prod' } }, 0), null)
})

await t.test('webhooks go nowhere unless every policy that speaks of them lets them', async (t) => {
  t.match(webhookRefusal(unrestricted, 'example.com'), /no policy lets webhooks go anywhere/)
  const one = rulesOf(
    { webhooks: { hosts: ['*.Example.com', '10.1.2.3'], addresses: ['10.0.0.0/8', 'fd00::/8'] } },
    {}
  )
  t.equal(webhookRefusal(one, 'hooks.EXAMPLE.com'), null)
  t.match(
    webhookRefusal(one, 'example.com.evil.io'),
    /policy "p0": webhooks may go to \*\.example\.com, 10\.1\.2\.3, not to/
  )
  t.ok(allowsPrivateAddress(one, '10.255.0.1'))
  t.ok(allowsPrivateAddress(one, 'fd00::1'))
  for (const address of ['192.168.0.1', 'fe80::1', 'nonsense'])
    t.notOk(allowsPrivateAddress(one, address), address)
  t.notOk(allowsPrivateAddress(unrestricted, '10.0.0.1'))
  const both = rulesOf(
    { webhooks: { hosts: ['*'], addresses: ['10.0.0.0/8'] } },
    { webhooks: { hosts: ['a.com'] } }
  )
  t.equal(webhookRefusal(both, 'a.com'), null)
  t.match(webhookRefusal(both, 'b.com'), /"p1"/)
  t.notOk(allowsPrivateAddress(both, '10.0.0.1'))
})

await t.test('an account may be one for each tenant of a glob', async (t) => {
  t.same(
    [...rulesOf({ user: 'roost-{tenant}' }, { user: 'other' }).users],
    [
      ['roost-a', ['p0']],
      ['other', ['p1']]
    ]
  )
})

// Policies and jobs from small worlds, so that they meet each other's bounds.
const some = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
const defined = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T
const record = (members: Record<string, fc.Arbitrary<unknown>>) =>
  some(
    fc
      .record(Object.fromEntries(Object.entries(members).map(([key, value]) => [key, some(value)])))
      .map(defined)
  )
const list = (...names: string[]) => fc.subarray(names, { minLength: 1 })
const small = fc.nat(4)
const quota = record({
  running: small,
  queued: small,
  cpu: small,
  memory: small,
  gpu: small,
  submissionsPerMinute: small,
  logBytes: small
})
const policy = fc
  .record({
    tenants: list('a', 'b*', '*'),
    tokens: some(list('x', 'y*')),
    quota,
    tokenQuota: quota,
    allow: record({
      taskTypes: list('process', 'con*', 'llm'),
      images: list('one', 'reg.io/*'),
      env: list('A*', 'B')
    }),
    job: record({ cpu: small, memory: small, gpu: small, timeoutSeconds: fc.integer({ min: 1, max: 5 }) }),
    defaults: record({
      timeoutSeconds: fc.integer({ min: 1, max: 5 }),
      limits: fc.record({ cpu: small, memory: small })
    })
  })
  .map((members) => defined(members) as Omit<Policy, 'name'>)
const spec: fc.Arbitrary<JobSpec> = fc
  .record({
    task: fc.constantFrom(process.task, ...['one', 'two', 'reg.io/x'].map((image) => container(image).task)),
    env: some(fc.constantFrom({}, { A1: '' }, { B: '' }, { C: '' })),
    secrets: some(fc.constantFrom({ B: 's' }, { D: 's' })),
    resources: some(fc.record({ cpu: small, memory: small, gpu: small })),
    limits: some(fc.record({ cpu: small })),
    timeoutSeconds: some(fc.integer({ min: 1, max: 6 }))
  })
  .map((members) => defined(members) as JobSpec)
const usage = fc.record({ queued: small, submissions: small, logBytes: small })

await t.test('one policy more never allows more', async (t) => {
  let refusedOnlyWithIt = 0
  fc.assert(
    fc.property(
      fc.array(policy, { maxLength: 4 }),
      policy,
      spec,
      fc.constantFrom('a', 'b1', 'c'),
      fc.constantFrom('x', 'y2', 'z'),
      usage,
      usage,
      (before, more, job, tenant, token, ofTenant, ofToken) => {
        const isAllowed = (policies: readonly Omit<Policy, 'name'>[]) => {
          const applying = policies
            .map((one, at) => compilePolicy({ name: `p${at}`, ...one }))
            .filter(({ appliesTo }) => appliesTo(tenant, token, null))
          const rules = joinRules(applying, tenant)
          const filled = withDefaults(job, rules)
          return (
            checkJob(rules, filled, false).length === 0 &&
            checkQuotas(rules, (per) => (per === 'tenant' ? ofTenant : ofToken), false).length === 0
          )
        }
        const [without, with_] = [isAllowed(before), isAllowed([...before, more])]
        if (without && !with_) refusedOnlyWithIt++
        return without || !with_
      }
    ),
    { numRuns: 2000 }
  )
  t.ok(refusedOnlyWithIt > 50, `the policy made the difference in ${refusedOnlyWithIt} of 2,000`)
})
