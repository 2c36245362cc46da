import { mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Runtime } from '../../src/contracts/runtime.ts'
import { RoostError } from '../../src/errors.ts'
import type { AuditEntry } from '../../src/schemas/audit.ts'
import { asAdmin, build } from '../build.ts'
import { createFakeRuntime } from '../fake-runtime.ts'

type App = Awaited<ReturnType<typeof build>>
type Answer = Awaited<ReturnType<App['inject']>>
interface Call {
  method: 'POST' | 'PUT' | 'DELETE'
  url: string
  body?: object
}

/** Operations that change nothing although they are no GET, each with why. */
const readers: Record<string, string> = {
  explainPolicies: 'it says what the policies make of a job, and stores nothing'
}

/** A request of each operation that succeeds, and the action that its entry must have. */
function createCalls(
  t: Test,
  app: App,
  dataDir: string
): Record<string, { action: string; call: () => Promise<Call> }> {
  const task = { type: 'test/fake' }
  const make = async (url: string, body: object) => {
    const answer = await app.inject({ method: 'POST', url, headers: asLocal(dataDir), payload: body })
    return answer.json<{ id: string; record: { id: string } }>()
  }
  const jobUrl = async (suffix = '') => `/v1/jobs/${(await make('/schedule', { task })).id}${suffix}`
  return {
    scheduleJob: {
      action: 'job.submit',
      call: async () => ({ method: 'POST', url: '/schedule', body: { name: 'one', task } })
    },
    cancelJob: { action: 'job.cancel', call: async () => ({ method: 'DELETE', url: await jobUrl() }) },
    rerunJob: { action: 'job.rerun', call: async () => ({ method: 'POST', url: await jobUrl('/rerun') }) },
    evict: {
      action: 'job.evict',
      call: async () => ({
        method: 'POST',
        url: '/evict',
        // Whether it has started yet or not.
        body: { jobId: (await make('/schedule', { task })).id, requeue: false }
      })
    },
    drainNode: { action: 'node.drain', call: async () => ({ method: 'POST', url: '/v1/nodes/local/drain' }) },
    undrainNode: {
      action: 'node.undrain',
      call: async () => ({ method: 'POST', url: '/v1/nodes/local/undrain' })
    },
    createToken: {
      action: 'token.create',
      call: async () => ({ method: 'POST', url: '/v1/tokens', body: { name: 'ci', scopes: ['read:jobs'] } })
    },
    revokeToken: {
      action: 'token.revoke',
      call: async () => {
        const { record } = await make('/v1/tokens', { name: 'old', scopes: ['admin'] })
        return { method: 'DELETE', url: `/v1/tokens/${record.id}` }
      }
    },
    setSecret: {
      action: 'secret.set',
      call: async () => ({ method: 'PUT', url: '/v1/secrets/key', body: { value: 'canary-3d1f' } })
    },
    removeSecret: {
      action: 'secret.remove',
      call: async () => ({ method: 'DELETE', url: '/v1/secrets/key' })
    },
    rotateLocalToken: {
      action: 'token.rotate',
      call: async () => ({ method: 'POST', url: '/v1/tokens/local/rotate' })
    },
    backup: {
      action: 'service.backup',
      call: async () => ({
        method: 'POST',
        url: '/v1/backup',
        body: { file: join(t.testdirName, 'copy.db') }
      })
    }
  }
}

/** The local token as the file has it now. */
const asLocal = (dataDir: string) => ({
  authorization: `Bearer ${readFileSync(join(dataDir, 'token'), 'utf8').trim()}`,
  host: 'localhost'
})

const open = async (t: Test) => {
  const fake = createFakeRuntime({ exitCode: null })
  const app = await build(t, { process: 'off', dataDir: t.testdir() }, { runtimes: [fake.runtime] })
  await app.ready()
  return { app, fake }
}

const entriesOf = async (app: App, query = ''): Promise<AuditEntry[]> => {
  const answer: Answer = await app.inject({ url: `/v1/audit?limit=1000${query}`, headers: asAdmin })
  return answer.json<{ items: AuditEntry[] }>().items
}

await t.test('every operation of the document that changes something leaves an entry', async (t) => {
  const folder = t.testdir()
  const dataDir = join(folder, 'data')
  const app = await build(
    t,
    { process: 'off', dataDir, token: '' },
    { runtimes: [createFakeRuntime({ exitCode: null }).runtime] }
  )
  await app.ready()
  const entries = async (): Promise<AuditEntry[]> =>
    (await app.inject({ url: '/v1/audit?limit=1000', headers: asLocal(dataDir) })).json<{
      items: AuditEntry[]
    }>().items
  const document = app.swagger() as unknown as {
    paths: Record<string, Record<string, { operationId: string }>>
  }
  const operations = Object.values(document.paths).flatMap((methods) =>
    Object.entries(methods).flatMap(([method, { operationId }]) => (method === 'get' ? [] : [operationId]))
  )
  t.ok(operations.length > 10, 'the document has such operations')
  const calls = createCalls(t, app, dataDir)
  t.same(
    operations.filter((id) => !(id in calls) && !(id in readers)),
    [],
    'a new operation needs a call in this test, and an entry (CONTRIBUTING.md, "A new route")'
  )
  for (const [operation, { action, call }] of Object.entries(calls)) {
    const { method, url, body } = await call()
    const answer = await app.inject({
      method,
      url,
      headers: { ...asLocal(dataDir), 'x-request-id': `req-${operation}`, 'user-agent': 'audit-test/1' },
      ...(body === undefined ? {} : { payload: body })
    })
    t.match(String(answer.statusCode), /^2/, `${operation}: ${answer.body}`)
    const entry = (await entries()).find(({ requestId }) => requestId === `req-${operation}`)
    t.match(
      entry,
      {
        action,
        actor: 'local',
        actorName: 'local',
        tenant: 'default',
        address: '127.0.0.1',
        client: 'audit-test/1',
        subject: /./
      },
      operation
    )
  }
  t.notMatch(JSON.stringify(await entries()), 'canary-3d1f', 'a value is not in it')
  t.match(await app.storage.audit.verify(), { fault: null })
})

await t.test('what changed stands there, before and after; what Roost does itself too', async (t) => {
  const { app } = await open(t)
  const ask = (method: 'POST' | 'PUT' | 'DELETE', url: string, payload?: object) =>
    app.inject({ method, url, headers: asAdmin, ...(payload === undefined ? {} : { payload }) })
  const [start] = await entriesOf(app, '&action=service.start')
  t.match(start, {
    actor: 'system',
    subject: app.node.id,
    detail: { version: /^\d/, configuration: /^sha256:[0-9a-f]{64}$/, restored: null }
  })

  await ask('PUT', '/v1/secrets/key', { value: 'canary-1' })
  await ask('PUT', '/v1/secrets/key', { value: 'canary-2' })
  await ask('DELETE', '/v1/secrets/key')
  const [removed, again, first] = await entriesOf(app, '&subject=key')
  const version = { version: /^[0-9a-f]{16}$/ }
  t.match(first, { action: 'secret.set', detail: { before: null, after: version } })
  t.match(again, { action: 'secret.set', detail: { before: first!.detail['after'], after: version } })
  t.not(again!.detail['after'], first!.detail['after'])
  t.match(removed, { action: 'secret.remove', detail: { before: again!.detail['after'], after: null } })

  const made = (await ask('POST', '/v1/tokens', { name: 'ci', scopes: ['read:jobs'], tenant: 'a' })).json<{
    token: string
    record: { id: string }
  }>()
  await ask('DELETE', `/v1/tokens/${made.record.id}`)
  const [revoked, created] = await entriesOf(app, `&subject=${made.record.id}`)
  t.match(created?.detail, { before: null, after: { name: 'ci', tenant: 'a', scopes: ['read:jobs'] } })
  t.match(revoked?.detail, { before: { scopes: ['read:jobs'], revokedAt: null }, after: { revokedAt: /Z$/ } })
  t.notMatch(JSON.stringify(await entriesOf(app)), made.token)

  await ask('POST', '/v1/nodes/local/drain')
  t.match((await entriesOf(app, '&action=node.drain'))[0]?.detail, {
    before: { draining: false },
    after: { draining: true }
  })
})

await t.test(
  'a start on a restored backup says so, and another configuration has another hash',
  async (t) => {
    const folder = t.testdir()
    const first = await build(t, { process: 'off', dataDir: join(folder, 'data') })
    await first.ready()
    const file = join(folder, 'copy.db')
    const answer = await first.inject({
      method: 'POST',
      url: '/v1/backup',
      headers: asAdmin,
      payload: { file }
    })
    t.equal(answer.statusCode, 201)
    const dataDir = join(folder, 'restored')
    mkdirSync(dataDir)
    renameSync(file, join(dataDir, 'roost.db'))
    const app = await build(t, { process: 'off', dataDir, logCapBytes: 4096 })
    await app.ready()
    const [again, start] = await entriesOf(app, '&action=service.start')
    t.match(again?.detail, { restored: { at: Number, from: /data/ } })
    t.not(again?.detail['configuration'], start?.detail['configuration'])
    t.match(
      await entriesOf(app, '&action=service.backup'),
      [{ subject: file, actor: 'local', detail: { outcome: 'begun' } }],
      'the copy holds that it was made'
    )
    t.match(await app.storage.audit.verify(), { entries: 3, fault: null })
  }
)

await t.test(
  'acts outside of the storage: nothing of what was refused, and what came of the rest',
  async (t) => {
    const folder = t.testdir()
    const dataDir = join(folder, 'data')
    const fake = createFakeRuntime()
    let isBroken = true
    const strangers: Runtime = {
      ...fake.runtime,
      list: async () => [
        {
          name: 'stranger',
          namespace: null,
          node: '',
          runtime: 'fake',
          phase: 'Running',
          jobId: null,
          attempt: null,
          startedAt: null,
          restarts: 0,
          resources: { cpu: 1, memory: 1, gpu: 0 }
        }
      ],
      evict: async () => {
        if (isBroken) throw new RoostError('policy-denied', 'The cluster refuses')
      }
    }
    const app = await build(t, { process: 'off', dataDir, token: '' }, { runtimes: [strangers] })
    await app.ready()
    const headers = asLocal(dataDir)
    const outcomes = async (action: string) =>
      (await app.storage.audit.list({ action, limit: 9 })).items.map(({ detail }) => detail['outcome'])
    const ask = async (url: string, payload?: object) =>
      (await app.inject({ method: 'POST', url, headers, ...(payload === undefined ? {} : { payload }) }))
        .statusCode
    t.equal(await ask('/v1/backup', { file: join(folder, 'none/x.db') }), 422)
    t.same(await outcomes('service.backup'), [], 'a refusal changed nothing')
    t.equal(await ask('/v1/backup', { file: join(folder, 'x.db') }), 201)
    t.same(await outcomes('service.backup'), ['done', 'begun'])

    t.equal(await ask('/evict', { pod: 'stranger' }), 403)
    isBroken = false
    t.equal(await ask('/evict', { pod: 'stranger' }), 202)
    t.same(await outcomes('pod.evict'), ['done', 'begun', 'failed', 'begun'])

    // A folder in the place of the file: it can't be written.
    rmSync(join(dataDir, 'token'))
    mkdirSync(join(dataDir, 'token'))
    t.equal(await ask('/v1/tokens/local/rotate'), 503)
    t.same(await outcomes('token.rotate'), ['failed', 'begun'])
    rmSync(join(dataDir, 'token'), { recursive: true })
    t.equal(await ask('/v1/tokens/local/rotate'), 200, 'the old token is still good')
    t.same((await outcomes('token.rotate')).slice(0, 2), ['done', 'begun'])
  }
)

await t.test('a job that expired is in the audit as removed by Roost itself', async (t) => {
  const clock = createMovedClock()
  const fake = createFakeRuntime()
  const app = await build(t, { process: 'off' }, { runtimes: [fake.runtime], clock })
  await app.ready()
  const answer = await app.inject({
    method: 'POST',
    url: '/schedule',
    headers: asAdmin,
    payload: { name: 'brief', ttlSecondsAfterFinished: 0, task: { type: 'test/fake' } }
  })
  const { id } = answer.json<{ id: string }>()
  await until(async () => (await app.storage.jobs.find(id))?.state === 'succeeded')
  await clock.fire(60_000)
  await until(async () => (await app.storage.jobs.find(id)) === null)
  t.match(await entriesOf(app, '&action=job.expire'), [
    { actor: 'system', subject: id, detail: { before: { name: 'brief', state: 'succeeded' } } }
  ])
})

await t.test('filters fit one change together, in pages; wrong ones are refused by name', async (t) => {
  const { app } = await open(t)
  const task = { type: 'test/fake' }
  const made = (
    await app.inject({
      method: 'POST',
      url: '/v1/tokens',
      headers: asAdmin,
      payload: { name: 'b', scopes: ['write:jobs'], tenant: 'b' }
    })
  ).json<{ token: string; record: { id: string } }>()
  const asOther = { ...asAdmin, authorization: `Bearer ${made.token}` }
  const ids = await Promise.all(
    [asAdmin, asOther, asAdmin].map(async (headers) => {
      const answer = await app.inject({ method: 'POST', url: '/schedule', headers, payload: { task } })
      return answer.json<{ id: string }>().id
    })
  )
  const subjects = (entries: AuditEntry[]) =>
    entries.flatMap(({ subject, detail }) =>
      Array.isArray(detail['records'])
        ? (detail['records'] as { subject: string }[]).map((record) => record.subject)
        : [subject]
    )
  t.same(subjects(await entriesOf(app, `&actor=${made.record.id}`)), [ids[1]])
  t.same(subjects(await entriesOf(app, '&tenant=b&action=job.submit')), [ids[1]])
  t.same(await entriesOf(app, `&tenant=b&action=token.create`), [], 'each fits, but not the same change')
  t.same(subjects(await entriesOf(app, `&subject=${ids[2]}`)), [ids[2]])
  const [newest] = await entriesOf(app)
  t.same(await entriesOf(app, `&since=${new Date(Date.parse(newest!.time) + 1).toISOString()}`), [])
  t.ok((await entriesOf(app, `&since=${newest!.time}&action=job.submit`)).length > 0)
  t.same(await entriesOf(app, `&until=2020-01-01T00:00:00Z`), [])
  const seen: number[] = []
  for (let cursor = ''; ;) {
    const page = (await app.inject({ url: `/v1/audit?limit=1${cursor}`, headers: asAdmin })).json<{
      items: AuditEntry[]
      cursor: string | null
    }>()
    seen.push(...page.items.map(({ seq }) => seq))
    if (page.cursor === null) break
    cursor = `&cursor=${page.cursor}`
  }
  t.same(
    seen,
    (await entriesOf(app)).map(({ seq }) => seq)
  )
  for (const query of [
    'since=yesterday',
    'since=2026-13-45T99:00:00Z',
    'until=2026-11-25',
    'cursor=x',
    'limit=0',
    'who=me'
  ])
    t.equal((await app.inject({ url: `/v1/audit?${query}`, headers: asAdmin })).statusCode, 422, query)
  t.equal((await app.inject({ url: '/v1/audit', headers: asOther })).statusCode, 403)
})

await t.test('GET /v1/audit/verify', async (t) => {
  const { app } = await open(t)
  const verify = async (query = '') => {
    const answer = await app.inject({ url: `/v1/audit/verify${query}`, headers: asAdmin })
    return answer.json<{ ok: boolean; head: string; anchor: string | null }>()
  }
  const { ok, head } = await verify()
  t.equal(ok, true)
  t.match(head, /^1:[0-9a-f]{64}$/)
  t.match(await verify(`?expect=${head}`), { ok: true, anchor: 'found' })
  t.match(await verify(`?expect=1:${'0'.repeat(64)}`), { ok: false, anchor: 'different', fault: null })
  t.match(await verify(`?expect=99:${'0'.repeat(64)}`), { ok: false, anchor: 'missing', fault: null })
  t.equal((await app.inject({ url: '/v1/audit/verify?expect=1', headers: asAdmin })).statusCode, 422)
})

/** Real time for everything but what is asked for, whose timers a test fires. */
function createMovedClock() {
  const timers: { callback: () => void; delayMs: number }[] = []
  return {
    now: () => Date.now(),
    setTimeout: (callback: () => void, delayMs: number) => {
      timers.push({ callback, delayMs })
      return { cancel: () => {} }
    },
    async fire(delayMs: number): Promise<void> {
      for (const timer of timers.splice(0)) if (timer.delayMs === delayMs) timer.callback()
    }
  }
}

/** Looks again each turn. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise<void>((resolve) => setImmediate(resolve))
}
