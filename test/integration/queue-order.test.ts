import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { Frame } from '../../src/schemas/frame.ts'
import type { Job, JobSpec, JobState } from '../../src/schemas/job.ts'
import type { Placement } from '../../src/schemas/placement.ts'
import type { QueueItem } from '../../src/schemas/queue.ts'
import { asAdmin } from '../build.ts'
import { createFakeClock } from '../fake-clock.ts'
import { jobOf, openPolicyApp, type PolicyApp, type PolicyAppOptions } from '../fixtures/policy-app.ts'
import { startServiceFor, type Service } from '../start-service.ts'

const none = 'policies: []\n'
const oneCore: Partial<JobSpec> = { resources: { cpu: 1, memory: 0 } }

async function open(t: Test, cpu: number, policies = none, options: PolicyAppOptions = {}) {
  const opened = await openPolicyApp(t, policies, {
    ...options,
    config: { capacity: { slots: 100, cpu, memory: '64Gi', reserve: { cpu: 0, memory: 0 } } }
  })
  const { app, fake } = opened
  const find = async (id: string) =>
    (await app.inject({ url: `/v1/jobs/${id}`, headers: asAdmin })).json<Job>()
  /** Resolves when the job is in this state; woken by its log. */
  async function until(id: string, state: JobState): Promise<Job> {
    return await new Promise((resolve, reject) => {
      const look = () =>
        void find(id).then((job) => {
          if (job.state !== state) return
          stop()
          resolve(job)
        }, reject)
      const stop = app.storage.onAppended((grown) => {
        if (grown.has(id)) look()
      })
      look()
    })
  }
  const submit = async (
    spec: Partial<JobSpec> = {},
    headers: Record<string, string> = asAdmin
  ): Promise<Job> => jobOf(await opened.submit(headers, { ...oneCore, ...spec }))
  const run = async (spec: Partial<JobSpec> = {}, headers: Record<string, string> = asAdmin): Promise<Job> =>
    await until((await submit(spec, headers)).id, 'running')
  const queue = async (query = '', headers: Record<string, string> = asAdmin) =>
    (await app.inject({ url: `/v1/queue${query}`, headers })).json<{
      items: QueueItem[]
      cursor: string | null
    }>()
  const finish = async (id: string, attempt = 1) => await fake.finish(`roost-${id}-${attempt}`, 0)
  return { ...opened, find, until, submit, run, queue, finish }
}

async function frames(app: PolicyApp['app'], id: string): Promise<Frame[]> {
  const stored = await app.storage.events.read(id, 1, 1000, 2 ** 20)
  return stored.map(({ json }) => JSON.parse(json) as Frame)
}

await t.test(
  'room goes to the tenant with the smallest share, however many jobs another has waiting',
  async (t) => {
    const { tokenOf, submit, run, until, queue, finish, fake } = await open(
      t,
      4,
      'policies:\n  - { name: heavy, tenants: [big], weight: 3 }\n'
    )
    const [big, small] = [await tokenOf('big'), await tokenOf('small')]
    const running: Job[] = []
    for (let i = 0; i < 4; i++) running.push(await run({}, big.headers))
    const waiting: Job[] = []
    for (let i = 0; i < 6; i++) waiting.push(await submit({}, big.headers))
    const late = [await submit({}, small.headers), await submit({}, small.headers)]
    t.same(
      (await queue()).items.map(({ position, jobId, tenant, share }) => [position, jobId, tenant, share]),
      [
        [0, late[0]!.id, 'small', 0],
        [1, late[1]!.id, 'small', 0],
        ...waiting.map(({ id }, i) => [i + 2, id, 'big', 1 / 3])
      ],
      'as if each started in turn: 1/4 of a node is less than 1 over its weight'
    )
    const own = await queue('', small.headers)
    t.same(
      own.items.map(({ jobId }) => jobId),
      late.map(({ id }) => id),
      'a tenant sees its own'
    )
    await finish(running[0]!.id)
    await until(late[0]!.id, 'running')
    await finish(running[1]!.id)
    // big holds 2 of 4 over 3, small 1 of 4.
    await until(waiting[0]!.id, 'running')
    t.equal(fake.running.size, 4)
  }
)

await t.test('the queue comes in pages', async (t) => {
  const { submit, run, queue } = await open(t, 1)
  await run()
  const ids: string[] = []
  for (let i = 0; i < 5; i++) ids.push((await submit()).id)
  const seen: string[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const page = await queue(`?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`)
    seen.push(...page.items.map(({ jobId }) => jobId))
    cursor = page.cursor
  }
  t.same(seen, ids)
})

await t.test(
  'backfill: who delays the next job waits, who does not starts; all of them say so',
  async (t) => {
    const { app, submit, run, until, find, queue, finish, post, tokenOf } = await open(t, 4)
    const first = await run({ resources: { cpu: 3, memory: 0 }, timeoutSeconds: 600 })
    const large = await submit({ resources: { cpu: 4, memory: 0 } })
    const slow = await submit({ timeoutSeconds: 700 })
    const quick = await run({ timeoutSeconds: 60 })
    t.match(await find(large.id), {
      state: 'queued',
      reason: 'insufficient-cpu',
      message: /it is next by 20\d\d-/
    })
    t.match(await find(slow.id), { reason: 'insufficient-cpu' })
    await finish(quick.id)
    await until(quick.id, 'succeeded')
    const { items } = await queue()
    const startsBy = Date.parse(items[0]!.startsBy!)
    t.ok(
      startsBy > Date.parse(first.startedAt!) + 600_000 && startsBy < Date.parse(first.startedAt!) + 620_000
    )
    t.match(items, [
      {
        position: 0,
        jobId: large.id,
        reason: 'insufficient-cpu',
        needs: [{ what: 'cpu', needed: 4, available: 1, message: /needs 4 cores, 1 of 4 are free/ }]
      },
      {
        position: 1,
        jobId: slow.id,
        reason: 'reserved',
        message: new RegExp(`kept for job ${large.id}`),
        needs: [{ what: 'jobs' }],
        startsBy: null
      }
    ])
    const task = { type: 'test/fake' }
    const dryRun = async (spec: object) =>
      (await post('/schedule?dryRun=true', { task, ...oneCore, ...spec })).json<Placement>().queue
    t.match(await dryRun({ timeoutSeconds: 800 }), { position: 2, reason: 'reserved' })
    const { headers } = await tokenOf('b')
    const ofOther = await post('/schedule?dryRun=true', { task, ...oneCore, timeoutSeconds: 800 }, headers)
    t.match(ofOther.json(), { queue: { reason: 'reserved', message: /kept for a job of another tenant, / } })
    t.notMatch(ofOther.body, large.id)
    t.equal(await dryRun({ timeoutSeconds: 60 }), null, 'it would start at once')
    t.match(await dryRun({ dependsOn: [first.id] }), { reason: 'dependencies' })
    t.equal((await queue()).items.length, 2, 'a dry run leaves nothing')
    await finish(first.id)
    await until(large.id, 'running')
    t.equal((await find(slow.id)).state, 'queued')
    t.equal(app.capacity.free().cpu, 0)
  }
)

await t.test(
  'a job over a quota says which and holds up nobody; a new policy file lets it start',
  async (t) => {
    const policy = (running: number) =>
      `policies:\n  - { name: few, tenants: [a], quota: { running: ${running} } }\n`
    const { app, file, tokenOf, submit, run, until, find, queue } = await open(t, 4, policy(1))
    const [a, b] = [await tokenOf('a'), await tokenOf('b')]
    await run({}, a.headers)
    const over = await submit({}, a.headers)
    await run({}, b.headers)
    t.match(await find(over.id), {
      state: 'queued',
      reason: 'quota',
      message:
        'Policy "few" allows its tenant 1 running job at one time; 1 running job in use, and it needs 1 running job'
    })
    t.match((await queue()).items, [{ jobId: over.id, needs: [{ what: 'quota', needed: 1, available: 0 }] }])
    file.replace(policy(2))
    await app.policies.reload()
    await until(over.id, 'running')
  }
)

await t.test('preemption', async (t) => {
  await t.test('a more important job ends one that may be, which goes back and says for whom', async (t) => {
    const { app, fake, post, submit, run, until, find, finish } = await open(t, 2)
    const kept = await run({ priority: 10 })
    const victim = await run({ priority: 20, preemptible: true })
    const dryRun = async (spec: object) =>
      (
        await post('/schedule?dryRun=true', { task: { type: 'test/fake' }, ...oneCore, ...spec })
      ).json<Placement>()
    t.match(await dryRun({ priority: 90 }), {
      refusal: null,
      queue: { reason: 'preempting', message: `job ${victim.id} would be preempted for it, and end first` }
    })
    t.match(await dryRun({ priority: 20 }), { queue: { reason: 'insufficient-cpu' } }, 'no more important')
    const important = await submit({ priority: 90 })
    await until(important.id, 'running')
    t.same(fake.stopped, [`roost-${victim.id}-1`])
    t.match(await find(victim.id), {
      state: 'queued',
      attempts: [{ state: 'evicted', reason: 'preempted', signal: 'SIGTERM' }]
    })
    t.match(
      (await frames(app, victim.id)).flatMap((frame) =>
        frame.type === 'status' && frame.reason !== null ? [[frame.reason, frame.message]] : []
      ),
      [
        ['preempting', `Preempted for job ${important.id}`],
        ['preempted', `Preempted for job ${important.id}`]
      ]
    )
    const audit = (await app.inject({ url: '/v1/audit?action=job.preempt', headers: asAdmin })).json<{
      items: []
    }>()
    t.match(audit.items, [{ subject: victim.id, detail: { preemptedFor: important.id } }])
    await finish(kept.id)
    await until(victim.id, 'running')
    await finish(victim.id, 2)
    t.match(
      await until(victim.id, 'succeeded'),
      { attempts: [{}, { state: 'succeeded' }] },
      'and it did not count'
    )
    let told = 0
    for (const { id } of [kept, victim, important])
      told += (await frames(app, id)).filter(({ type }) => type === 'status').length
    const { body } = await app.inject({ url: '/metrics', headers: asAdmin })
    t.match(body, `roost_frames_appended_total{type="status"} ${told}\n`, 'each frame is counted')
  })

  await t.test('a job that waits for a second is told why, which is counted', async (t) => {
    const clock = createFakeClock()
    const { app, run, submit } = await open(t, 1, none, { clock })
    await run()
    const { id } = await submit()
    const told = new Promise<void>((resolve) =>
      app.storage.onAppended((grown) => {
        if (grown.has(id)) resolve()
      })
    )
    clock.advance(1_000)
    await told
    const { body } = await app.inject({ url: '/metrics', headers: asAdmin })
    t.match(body, 'roost_job_waits_total{reason="insufficient-cpu"} 1\n')
  })

  await t.test('at most as often as policy says, and not before its minimum time', async (t) => {
    const clock = createFakeClock()
    const { fake, submit, run, until, find, finish } = await open(
      t,
      1,
      'policies:\n  - { name: calm, tenants: ["*"], preemption: { maxPerJob: 1 }, eviction: { minRunSeconds: 60 } }\n',
      { clock }
    )
    const victim = await run({ priority: 20, preemptible: true })
    const second = await submit({ priority: 50 })
    t.match(await find(second.id), { state: 'queued', reason: 'insufficient-cpu' })
    // Runtimes tell the real time, so the minimum is over a little later than that of the fake clock.
    while (fake.stopped.length === 0) {
      clock.advance(61_000)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await until(second.id, 'running')
    await finish(second.id)
    await until(victim.id, 'running')
    const third = await submit({ priority: 90 })
    clock.advance(600_000)
    t.match(await find(third.id), { state: 'queued' })
    t.equal(fake.stopped.length, 1)
  })

  await t.test(
    'the room is the job’s it was made for, though the other is older and a third would fit',
    async (t) => {
      const clock = createFakeClock()
      const { submit, run, until, find } = await open(t, 4, none, { clock })
      const victim = await run({ priority: 20, preemptible: true, resources: { cpu: 4, memory: 0 } })
      // So old that its effective priority is above the other's.
      clock.advance(2_400_000)
      const important = await submit({ priority: 60, resources: { cpu: 3, memory: 0 } })
      await until(important.id, 'running')
      t.equal((await find(victim.id)).state, 'queued')
    }
  )

  await t.test('nobody is ended where it would not help, and equals end nobody', async (t) => {
    const { fake, submit, run, find } = await open(t, 3)
    await run({ priority: 20, preemptible: true })
    await run({ priority: 20, resources: { cpu: 2, memory: 0 } })
    t.match(await find((await submit({ priority: 90, resources: { cpu: 2, memory: 0 } })).id), {
      state: 'queued'
    })
    t.match(await find((await submit({ priority: 20 })).id), { state: 'queued' })
    t.same(fake.stopped, [])
  })

  await t.test('a tenant below its fair share takes from one above', async (t) => {
    const { app, fake, post, tokenOf, run } = await open(t, 4)
    const [a, b] = [await tokenOf('a'), await tokenOf('b')]
    const theirs: Job[] = []
    for (let i = 0; i < 4; i++) theirs.push(await run({ preemptible: true, priority: 100 }, a.headers))
    const spec = { task: { type: 'test/fake' }, ...oneCore }
    t.match(
      (await post('/schedule?dryRun=true', spec, b.headers)).json(),
      { queue: { message: 'a job of another tenant would be preempted for it, and end first' } },
      'whose job it is stays with its tenant'
    )
    const own = await run({ priority: 0 }, b.headers)
    await run({ priority: 0 }, b.headers)
    t.equal(fake.stopped.length, 2)
    const told = (await Promise.all(theirs.map(({ id }) => frames(app, id)))).flat()
    t.match(JSON.stringify(told), /Preempted for a job of another tenant/)
    t.notMatch(JSON.stringify(told), own.id)
  })
})

await t.test('a reason that changes is told in the log', async (t) => {
  const clock = createFakeClock()
  const { app, file, submit, run, until } = await open(t, 1, none, { clock })
  const first = await run()
  const waiting = await submit()
  const told = async (reason: string) => {
    clock.advance(1_001)
    for (;;) {
      const found = (await frames(app, waiting.id)).some(
        (frame) => frame.type === 'status' && frame.reason === reason
      )
      if (found) return
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  await told('insufficient-cpu')
  file.replace('policies:\n  - { name: few, tenants: ["*"], quota: { running: 1 } }\n')
  await app.policies.reload()
  await told('quota')
  await app.inject({ method: 'DELETE', url: `/v1/jobs/${first.id}`, headers: asAdmin })
  await until(waiting.id, 'running')
})

async function ask<T>(service: Service, path: string, body?: object): Promise<T> {
  const response = await fetch(`${service.url}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    // A connection that was kept would be one to the service that was killed.
    headers: {
      authorization: `Bearer ${service.token}`,
      'content-type': 'application/json',
      connection: 'close'
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  return (await response.json()) as T
}

/** Follows the job by its events until a frame of it satisfies `wanted`. */
async function follow(service: Service, id: string, wanted: (frame: Frame) => boolean): Promise<void> {
  const response = await fetch(`${service.url}/v1/jobs/${id}/events`, {
    headers: { authorization: `Bearer ${service.token}`, connection: 'close' }
  })
  let text = ''
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk
    const lines = text.split('\n')
    text = lines.pop()!
    for (const line of lines)
      if (line.startsWith('data: ') && wanted(JSON.parse(line.slice('data: '.length)) as Frame)) return
  }
}

await t.test(
  'killed with -9 between the decision to preempt and the stop, the next start carries it out',
  async (t) => {
    const folder = t.testdir()
    const armed = join(folder, 'armed')
    const plugin = fileURLToPath(new URL('../fixtures/plugin-dies-after-commit.ts', import.meta.url))
    const config = join(folder, 'roost.yaml')
    writeFileSync(
      config,
      JSON.stringify({ plugins: [{ path: plugin, options: { armed } }], capacity: { slots: 1 } })
    )
    const service = await startServiceFor(t, { flags: ['--config', config], env: { ROOST_PROCESS: 'on' } })
    const task = { type: 'process', command: ['sleep', '600'] }
    const victim = await ask<Job>(service, '/schedule', { task, priority: 10, preemptible: true })
    await follow(service, victim.id, (frame) => frame.type === 'status' && frame.state === 'running')
    writeFileSync(armed, victim.id)
    const death = follow(service, victim.id, () => false).catch(() => {})
    // The answer to this may be lost with the service.
    await ask(service, '/schedule', { name: 'important', task, priority: 90 }).catch(() => {})
    await death
    t.equal(existsSync(armed), false, 'it died at that commit')
    await service.kill()
    await service.restart()
    const [important] = (await ask<{ items: [Job] }>(service, '/v1/jobs?name=important')).items
    await follow(service, important.id, (frame) => frame.type === 'status' && frame.state === 'running')
    t.match(await ask<Job>(service, `/v1/jobs/${victim.id}`), {
      state: 'queued',
      attempts: [{ state: 'evicted', reason: 'preempted' }]
    })
  }
)
