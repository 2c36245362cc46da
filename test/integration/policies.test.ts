import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Placement } from '../../src/schemas/placement.ts'
import { asAdmin } from '../build.ts'
import { createFakeClock } from '../fake-clock.ts'
import { jobOf, openPolicyApp, problemOf, running, type Answer } from '../fixtures/policy-app.ts'

const statuses = (answers: readonly Answer[]) => answers.map(({ statusCode }) => statusCode)

await t.test(
  'so many jobs may wait as the policy says, exactly, and a cancelled one frees its place',
  async (t) => {
    const { tokenOf, submit, post, app } = await openPolicyApp(
      t,
      `policies:\n  - {name: students, tenants: ["student-*"], quota: {queued: 3, running: 1}}\n`
    )
    const one = await tokenOf('student-one')
    const other = await tokenOf('student-two')
    jobOf(await submit(one.headers))
    await running(app, 1)
    const waiting = [await submit(one.headers), await submit(one.headers), await submit(one.headers)]
    t.same(statuses(waiting), [202, 202, 202])
    const refused = await submit(one.headers)
    t.equal(refused.statusCode, 429)
    t.match(problemOf(refused), {
      code: 'quota-exceeded',
      detail: 'policy "students": 3 jobs of a tenant may wait, 3 do',
      policy: 'students',
      limit: 3,
      value: 3
    })
    t.match(refused.headers['retry-after'], /^\d+$/)
    t.equal((await submit(other.headers)).statusCode, 202, 'another tenant has places of its own')
    t.equal((await submit(asAdmin)).statusCode, 202, 'no policy speaks of the tenant default')
    const url = `/v1/jobs/${jobOf(waiting[0]!).id}`
    await app.inject({ method: 'DELETE', url, headers: one.headers })
    t.same(statuses([await submit(one.headers), await submit(one.headers)]), [202, 429])
    t.equal((await post(`${url}/rerun`, {}, one.headers)).statusCode, 429, 'a rerun is a submission too')
  }
)

await t.test('two at once cannot both take the last place', async (t) => {
  const { tokenOf, submit } = await openPolicyApp(
    t,
    `policies:\n  - {name: few, tenants: ["*"], quota: {queued: 5, running: 1}}\n`
  )
  const { headers } = await tokenOf('a')
  jobOf(await submit(headers))
  const answers = await Promise.all(Array.from({ length: 20 }, () => submit(headers)))
  const accepted = answers.filter(({ statusCode }) => statusCode === 202)
  // One more where the first had begun to run before they came.
  t.ok(accepted.length === 5 || accepted.length === 4, `${accepted.length} accepted`)
  t.equal(answers.length - accepted.length, answers.filter(({ statusCode }) => statusCode === 429).length)
})

await t.test('waiting jobs count after a restart as before', async (t) => {
  const policies = `policies:\n  - {name: few, tenants: ["*"], quota: {queued: 2, running: 1}}\n`
  const dataDir = t.testdir()
  const first = await openPolicyApp(t, policies, { dataDir })
  const { headers } = await first.tokenOf('a')
  jobOf(await first.submit(headers))
  await running(first.app, 1)
  t.same(
    statuses([await first.submit(headers), await first.submit(headers), await first.submit(headers)]),
    [202, 202, 429]
  )
  await first.app.close()
  const second = await openPolicyApp(t, policies, { dataDir })
  await running(second.app, 1)
  t.equal((await second.submit(headers)).statusCode, 429)
  const [name] = second.fake.running.keys()
  await second.fake.finish(name!, 0)
  await running(second.app, 1)
  t.same(statuses([await second.submit(headers), await second.submit(headers)]), [202, 429])
})

await t.test('a quota of a token counts that token alone', async (t) => {
  const { tokenOf, submit, app } = await openPolicyApp(
    t,
    `policies:\n  - {name: each, tenants: [a], tokens: ["ci-*"], tokenQuota: {queued: 1}, quota: {running: 1}}\n`
  )
  const [ci, ci2, hand] = [await tokenOf('a', 'ci-1'), await tokenOf('a', 'ci-2'), await tokenOf('a', 'hand')]
  jobOf(await submit(ci.headers))
  await running(app, 1)
  t.same(statuses([await submit(ci.headers), await submit(ci.headers)]), [202, 429])
  t.same(statuses([await submit(ci2.headers), await submit(ci2.headers)]), [202, 429])
  t.same(
    statuses([await submit(hand.headers), await submit(hand.headers)]),
    [202, 202],
    'not named by the policy'
  )
})

await t.test('submissions a minute are a sliding window, told by the RateLimit headers', async (t) => {
  const clock = createFakeClock()
  const { tokenOf, submit } = await openPolicyApp(
    t,
    `policies:\n  - {name: slow, tenants: [a], quota: {submissionsPerMinute: 3}}\n`,
    { clock, runtime: { exitCode: 0 } }
  )
  const { headers } = await tokenOf('a')
  const first = await submit(headers)
  t.equal(first.headers['ratelimit-policy'], '"slow";q=3;w=60')
  t.equal(first.headers.ratelimit, '"slow";r=2;t=60')
  clock.advance(10_000)
  const second = await submit(headers)
  t.equal(second.headers.ratelimit, '"slow";r=1;t=50')
  clock.advance(10_000)
  t.equal((await submit(headers)).headers.ratelimit, '"slow";r=0;t=40')
  const refused = await submit(headers)
  t.equal(refused.statusCode, 429)
  t.match(refused.headers, {
    'retry-after': '40',
    ratelimit: '"slow";r=0;t=40',
    'ratelimit-policy': '"slow";q=3;w=60'
  })
  t.match(problemOf(refused), { policy: 'slow', limit: 3, value: 3 })
  clock.advance(39_999)
  t.equal((await submit(headers)).statusCode, 429, 'a refusal takes no place, and none is free yet')
  clock.advance(1)
  t.same(statuses([await submit(headers), await submit(headers)]), [202, 429])
})

await t.test('what was not accepted after all takes no place', async (t) => {
  const { tokenOf, submit, post } = await openPolicyApp(
    t,
    `policies:\n  - {name: slow, tenants: [a], quota: {submissionsPerMinute: 2, queued: 2}}\n`
  )
  const { headers } = await tokenOf('a')
  const spec = { name: 'same', task: { type: 'test/fake' } }
  t.equal((await post('/schedule?unique=name', spec, headers)).statusCode, 202)
  for (let i = 0; i < 5; i++) t.equal((await post('/schedule?unique=name', spec, headers)).statusCode, 409)
  t.same(statuses([await submit(headers), await submit(headers)]), [202, 429])
})

await t.test('a replay is answered though a new job would be refused', async (t) => {
  const { tokenOf, post } = await openPolicyApp(
    t,
    `policies:\n  - {name: one, tenants: [a], quota: {submissionsPerMinute: 1}}\n`
  )
  const { headers } = await tokenOf('a')
  const spec = { task: { type: 'test/fake' } }
  const keyed = { ...headers, 'idempotency-key': 'k' }
  const answers = await Promise.all([post('/schedule', spec, keyed), post('/schedule', spec, keyed)])
  t.same(statuses(answers), [202, 202])
  t.equal(jobOf(answers[0]).id, jobOf(answers[1]).id)
  t.equal((await post('/schedule', spec, headers)).statusCode, 429)
})

await t.test('what is never allowed is 403, with every field at fault', async (t) => {
  const { tokenOf, submit } = await openPolicyApp(
    t,
    `policies:
  - name: strict
    tenants: [a]
    allow:
      taskTypes: ["test/*", container]
      images: ["registry.lan/**"]
      env: ["APP_*", LANG]
    job: {cpu: 2, memory: 1Gi, gpu: 0, timeoutSeconds: 600}
`
  )
  const { headers } = await tokenOf('a', 'test', ['write:jobs', 'llm:invoke'])
  const refused = await submit(headers, {
    env: { APP_ONE: '1', LD_PRELOAD: '/x' },
    secrets: { TOKEN: 'token' },
    resources: { cpu: '2001m', memory: '2Gi', gpu: 1 },
    timeoutSeconds: 601
  })
  t.equal(refused.statusCode, 403)
  t.match(problemOf(refused), {
    code: 'policy-denied',
    policy: 'strict',
    value: 'LD_PRELOAD',
    limit: ['APP_*', 'LANG'],
    detail: 'policy "strict": the environment name LD_PRELOAD is not among those allowed: APP_*, LANG'
  })
  t.same(
    problemOf(refused).errors?.map(({ pointer }) => pointer),
    [
      '/env/LD_PRELOAD',
      '/secrets/TOKEN',
      '/resources/cpu',
      '/resources/memory',
      '/resources/gpu',
      '/timeoutSeconds'
    ]
  )
  t.match(
    problemOf(refused).errors?.[2]?.message,
    /a job may ask for 2 cores at most, this one asks for 2\.001 cores/
  )
  const image = await submit(headers, { task: { type: 'container', image: 'docker.io/library/busybox:1' } })
  t.match(problemOf(image), {
    status: 403,
    detail:
      'policy "strict": the image docker.io/library/busybox:1 is not among those allowed: registry.lan/**'
  })
  t.match(
    problemOf(
      await submit(headers, { task: { type: 'llm', model: 'm', messages: [{ role: 'user', content: 'x' }] } })
    ),
    {
      status: 403,
      value: 'llm'
    }
  )
  const atTheBound = await submit(headers, {
    env: { APP_ONE: '1' },
    resources: { cpu: 2, memory: '1Gi', gpu: 0 },
    timeoutSeconds: 600
  })
  t.equal(atTheBound.statusCode, 202)
  t.match(problemOf(await submit(headers, { limits: { memory: '2Gi' } })), {
    status: 403,
    value: 2 ** 31,
    limit: 2 ** 30
  })
})

await t.test('a job gets the time and the limits of the policies where it names none', async (t) => {
  const { tokenOf, submit } = await openPolicyApp(
    t,
    `policies:
  - {name: a, tenants: ["*"], defaults: {timeoutSeconds: 900, limits: {memory: 512Mi}}}
  - {name: b, tenants: [short], job: {timeoutSeconds: 60}}
`
  )
  const [long, short] = [await tokenOf('long'), await tokenOf('short')]
  t.match(jobOf(await submit(long.headers)).spec, { timeoutSeconds: 900, limits: { memory: 512 * 2 ** 20 } })
  t.match(jobOf(await submit(short.headers)).spec, { timeoutSeconds: 60 }, 'never above what may be')
  t.match(jobOf(await submit(long.headers, { timeoutSeconds: 5, limits: { memory: '1Gi' } })).spec, {
    timeoutSeconds: 5,
    limits: { memory: '1Gi' }
  })
  t.match(
    jobOf(await submit(long.headers, { resources: { memory: '2Gi' } })).spec,
    { limits: { memory: 2 * 2 ** 30 } },
    'no limit is below what the job asks for'
  )
})

await t.test(
  'a job that could never start under a quota is refused, one that may later waits and says why',
  async (t) => {
    const { tokenOf, submit, app } = await openPolicyApp(
      t,
      `policies:\n  - {name: small, tenants: [a], quota: {cpu: 2}}\n`
    )
    const { headers } = await tokenOf('a')
    const never = await submit(headers, { resources: { cpu: 3 } })
    t.match(problemOf(never), {
      status: 403,
      code: 'policy-denied',
      policy: 'small',
      limit: 2,
      value: 3,
      detail: /a tenant may hold 2 cores at one time, this job alone needs 3 cores and would wait for ever/
    })
    jobOf(await submit(headers, { resources: { cpu: 2 } }))
    await running(app, 1)
    const { id } = jobOf(await submit(headers, { resources: { cpu: 1 } }))
    const job = (await app.inject({ url: `/v1/jobs/${id}`, headers })).json<{
      reason: string
      message: string
    }>()
    t.match(job, { reason: 'quota', message: /"small".*2 cores/ })
  }
)

await t.test('jobs go only to nodes with the labels that the policy names', async (t) => {
  const labels = (pool: string) => ({ config: { node: { name: 'here', labels: { pool } } } })
  const policies = `policies:\n  - {name: pool, tenants: [a], allow: {nodes: {pool: [students, shared]}}}\n`
  const wrong = await openPolicyApp(t, policies, labels('staff'))
  const refused = await wrong.submit((await wrong.tokenOf('a')).headers)
  t.match(problemOf(refused), {
    status: 422,
    code: 'unplaceable',
    detail: /policy "pool": label pool must be one of students, shared and is "staff"/
  })
  t.equal((await wrong.submit(asAdmin)).statusCode, 202)
  const dataDir = join(t.testdirName, 'right')
  mkdirSync(dataDir)
  const right = await openPolicyApp(t, policies, { ...labels('shared'), dataDir })
  t.equal((await right.submit((await right.tokenOf('a')).headers)).statusCode, 202)
})

await t.test('a dry run says what would be refused, as a submission does', async (t) => {
  const { post, submit, tokenOf } = await openPolicyApp(
    t,
    `
policies:
  - {name: few, tenants: [a], quota: {queued: 1}}
  - {name: fast, tenants: [b], allow: {nodes: {disk: [nvme]}}}
`
  )
  const [a, b] = [await tokenOf('a'), await tokenOf('b')]
  const dryRun = async (headers: Record<string, string>, spec: object = {}) =>
    (await post('/schedule?dryRun=true', { task: { type: 'test/fake' }, ...spec }, headers)).json<Placement>()
  t.match(await dryRun(a.headers), { refusal: null, queue: null })
  const first = jobOf(await submit(a.headers))
  t.equal((await submit(a.headers, { dependsOn: [first.id] })).statusCode, 202)
  const refused = problemOf(await submit(a.headers))
  t.match(await dryRun(a.headers), {
    refusal: { code: 'quota-exceeded', message: refused.detail },
    queue: null
  })
  t.match(await dryRun(b.headers), {
    refusal: { code: 'unplaceable', message: /policy "fast"/ },
    queue: null
  })
  t.match(await dryRun(asAdmin, { resources: { memory: '900Ti' } }), { refusal: { code: 'unplaceable' } })
})

await t.test('an attempt is not evicted before its time, nor ever with a protected label', async (t) => {
  const clock = createFakeClock()
  const { tokenOf, submit, post, app } = await openPolicyApp(
    t,
    `policies:
  - {name: settle, tenants: ["*"], eviction: {minRunSeconds: 60}}
  - {name: prod, tenants: [a], eviction: {protectedLabels: ["tier=prod*"]}}
`,
    { clock }
  )
  const [a, b] = [await tokenOf('a'), await tokenOf('b')]
  const plain = jobOf(await submit(a.headers))
  const guarded = jobOf(await submit(a.headers, { labels: { tier: 'prod\n1' } }))
  await running(app, 2)
  const early = await post('/evict', { jobId: plain.id }, a.headers)
  t.match(problemOf(early), {
    status: 403,
    code: 'policy-denied',
    policy: 'settle',
    limit: 60,
    value: 0,
    detail: /an attempt runs 60 s before it may be evicted, this one has run 0 s/
  })
  t.equal(
    (await post('/evict', { jobId: plain.id }, b.headers)).statusCode,
    404,
    'another tenant sees no job'
  )
  clock.advance(59_999)
  t.match(problemOf(await post('/evict', { jobId: plain.id }, a.headers)), { policy: 'settle', value: 59 })
  clock.advance(1)
  t.equal((await post('/evict', { jobId: plain.id }, a.headers)).statusCode, 202)
  t.match(problemOf(await post('/evict', { jobId: guarded.id }, asAdmin)), {
    status: 403,
    policy: 'prod',
    value: 'tier=prod\n1',
    limit: 'tier=prod*'
  })
  const gone = await app.inject({ method: 'DELETE', url: `/v1/jobs/${guarded.id}`, headers: a.headers })
  t.equal(gone.statusCode, 202, 'its owner may cancel it')
})

await t.test(
  'logs keep no more than the quota; what is over is told, and new jobs are refused',
  async (t) => {
    const policies = `policies:\n  - {name: quiet, tenants: [a], quota: {logBytes: 10k}}\n`
    const dataDir = t.testdir()
    const first = await openPolicyApp(t, policies, { dataDir })
    const { app, fake, submit, tokenOf } = first
    const { headers } = await tokenOf('a')
    const jobs = [jobOf(await submit(headers)), jobOf(await submit(headers))]
    await running(app, 2)
    const orders = [...fake.running.values()]
    t.ok(
      orders.every(({ logCapBytes }) => logCapBytes === 10_000),
      'the runtime drops it at the source'
    )
    const print = async (order: (typeof orders)[number], bytes: number) =>
      await fake.say(order, {
        type: 'output',
        stream: 'stdout',
        bytes: Buffer.alloc(bytes, 'x'),
        cursor: '1'
      })
    await print(orders[0]!, 6_000)
    await Promise.all([print(orders[0]!, 3_000), print(orders[1]!, 3_000)])
    await print(orders[1]!, 1_000)
    t.equal((await submit(headers)).statusCode, 429, 'it is full')
    await print(orders[1]!, 1)
    const frames = (await Promise.all(jobs.map(({ id }) => app.storage.events.read(id, 1, 100, 1e6))))
      .flat()
      .map(({ json }) => JSON.parse(json))
    const sum = (key: (frame: { text?: string; truncated?: number }) => number | undefined) =>
      frames.reduce((all, frame) => all + (key(frame) ?? 0), 0)
    t.equal(
      sum(({ text }) => text?.length),
      10_000
    )
    t.equal(
      sum(({ truncated }) => truncated),
      3_001
    )
    t.match(problemOf(await submit(headers)), {
      code: 'quota-exceeded',
      policy: 'quiet',
      value: 10_000,
      limit: 10_000,
      detail:
        /the logs of a tenant may keep .*, they hold .*; remove finished jobs with: roost cancel --purge JOB/
    })
    await app.close()

    const second = await openPolicyApp(t, policies, { dataDir })
    t.equal((await second.submit(headers)).statusCode, 429, 'and still is after a restart')
    await running(second.app, 2)
    const { name } = second.fake.running.values().next().value!
    const id = name.slice('roost-'.length, -2)
    await second.fake.finish(name, 0)
    await second.app.inject({ method: 'DELETE', url: `/v1/jobs/${id}?purge=true`, headers })
    t.equal((await second.submit(headers)).statusCode, 202)
  }
)

await t.test('what one attempt may print is bounded by policy too', async (t) => {
  const { app, fake, submit } = await openPolicyApp(
    t,
    `policies:\n  - {name: brief, tenants: ["*"], job: {logBytes: 2Ki}}\n`
  )
  jobOf(await submit(asAdmin))
  await running(app, 1)
  t.equal([...fake.running.values()][0]?.logCapBytes, 2048)
})

await t.test(
  'an explanation has every check, stores nothing, and is of other tenants for an admin alone',
  async (t) => {
    const { app, tokenOf, submit, post } = await openPolicyApp(
      t,
      `policies:
  - name: lab
    tenants: [a]
    quota: {running: 1, queued: 1, cpu: 2}
    allow: {taskTypes: ["test/*"], nodes: {pool: [lab]}}
    job: {timeoutSeconds: 60}
`,
      { config: { node: { name: 'here', labels: { pool: 'lab' } } } }
    )
    const [a, b] = [await tokenOf('a'), await tokenOf('b')]
    jobOf(await submit(a.headers))
    await running(app, 1)
    jobOf(await submit(a.headers))
    const url = '/v1/policies/explain'
    const spec = { task: { type: 'test/fake' } }
    const explained = await post(url, spec, a.headers)
    t.equal(explained.statusCode, 200)
    t.match(explained.json(), {
      tenant: 'a',
      token: a.id,
      allowed: false,
      policies: ['lab'],
      spec: { timeoutSeconds: 60 },
      checks: [
        { rule: 'allow.taskTypes', verdict: 'allowed', value: 'test/fake', limit: ['test/*'] },
        { rule: 'job.timeoutSeconds', verdict: 'allowed', value: 60, limit: 60 },
        { rule: 'quota.queued', verdict: 'refused', value: 1, limit: 1 },
        { rule: 'quota.running', verdict: 'waits', value: 1, limit: 1 },
        { rule: 'quota.cpu', verdict: 'allowed', value: 0.1, limit: 2 },
        { rule: 'allow.nodes.pool', verdict: 'allowed', value: 'lab', limit: ['lab'] }
      ]
    })
    t.match((await post(url, spec, b.headers)).json(), {
      tenant: 'b',
      allowed: true,
      policies: [],
      checks: []
    })
    t.match(problemOf(await post(`${url}?tenant=a`, spec, b.headers)), { status: 403, code: 'forbidden' })
    t.match((await post(`${url}?tenant=a`, spec)).json(), { tenant: 'a', policies: ['lab'] })
    t.match(problemOf(await post(url, { ...spec, constraints: [{ key: 'x', operator: 'In' }] }, b.headers)), {
      status: 422
    })
    const { running: runs, queued } = await app.storage.jobs.countByState()
    t.same([runs, queued], [1, 1])
  }
)
