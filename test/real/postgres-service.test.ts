// kit: postgres
import t, { type Test } from 'tap'
import { torture } from '../../bench/torture-run.ts'
import type { Job } from '../../src/schemas/job.ts'
import { createSchema, fault, secondUrl } from '../fixtures/postgres.ts'
import { startServiceFor, type Service } from '../start-service.ts'

async function start(t: Test) {
  const { databaseUrl } = await createSchema(t)
  const service = await startServiceFor(t, {
    env: { ROOST_PROCESS: 'on', ROOST_DATABASE_URL: databaseUrl }
  })
  return { service, databaseUrl }
}

const ask = async (service: Service, method: string, path: string, body?: object): Promise<Response> =>
  await fetch(`${service.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${service.token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' })
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })

async function schedule(service: Service, script: string): Promise<string> {
  const response = await ask(service, 'POST', '/schedule', {
    task: { type: 'process', command: ['sh', '-c', script] }
  })
  if (response.status !== 202) throw new Error(await response.text())
  return ((await response.json()) as Job).id
}

const job = async (service: Service, id: string) =>
  (await (await ask(service, 'GET', `/v1/jobs/${id}`)).json()) as Job

await t.test('a service on Postgres: submit, stream, cancel, restart, health, backup', async (t) => {
  const { service, databaseUrl } = await start(t)
  const id = await schedule(service, 'echo one; echo two >&2; exit 3')
  const events = await (await ask(service, 'GET', `/v1/jobs/${id}/events`)).text()
  t.match(events, /"type":"log".*"text":"one\\n"/)
  t.match(events, /"type":"error".*"exitCode":3/)
  t.match(await job(service, id), { state: 'failed', reason: 'exit-nonzero' })

  const long = await schedule(service, 'echo begun; sleep 600')
  const logs = await ask(service, 'GET', `/v1/jobs/${long}/logs?follow=true`)
  const reader = logs.body!.getReader()
  await reader.read()
  await service.kill('SIGKILL')
  await service.restart()
  t.match(await job(service, long), { state: 'running' }, 'it went on, and was found again')
  t.equal((await ask(service, 'DELETE', `/v1/jobs/${long}?gracePeriodSeconds=1`)).status, 202)
  await (await ask(service, 'GET', `/v1/jobs/${long}/events`)).text()
  t.match(await job(service, long), { state: 'cancelled', attempts: [{ number: 1 }] })

  const health = await (await ask(service, 'GET', '/health')).json()
  t.match(health, { status: 'ok', storage: { dialect: 'postgres', writable: true, message: null } })
  t.equal((await fetch(`${service.url}/readyz`)).status, 200)
  const backup = await ask(service, 'POST', '/v1/backup', { file: '/tmp/none' })
  t.match(await backup.json(), { status: 404, code: 'not-configured', detail: /pg_dump/ })
  const password = new URL(databaseUrl).password
  t.equal(
    service.lines.some((line) => line.includes(`:${password}@`)),
    false,
    'no password in any line'
  )
})

await t.test(
  'a batch of real jobs survives kills with -9 on Postgres: nothing lost, nothing twice',
  async (t) => {
    const { databaseUrl } = await createSchema(t)
    const report = await torture({ jobs: 60, kills: 3, databaseUrl })
    t.same(report.faults, [])
    t.equal(report.restartMs.length, 3)
  }
)

await t.test('with another data directory what ran is given up, and what waited goes on', async (t) => {
  const { service: first, databaseUrl } = await start(t)
  const ran = await schedule(first, 'echo begun; sleep 600')
  const logs = await ask(first, 'GET', `/v1/jobs/${ran}/logs?follow=true`)
  await logs.body!.getReader().read()
  const waited = (
    (await (
      await ask(first, 'POST', '/schedule', {
        task: { type: 'process', command: ['true'] },
        dependsOn: [ran]
      })
    ).json()) as Job
  ).id
  await ask(first, 'POST', '/v1/nodes/local/drain')
  const queued = await ask(first, 'GET', `/v1/jobs/${waited}`)
  t.match(await queued.json(), { state: 'queued' })
  await first.kill('SIGKILL')
  const second = await startServiceFor(t, {
    env: { ROOST_PROCESS: 'on', ROOST_DATABASE_URL: databaseUrl }
  })
  t.match(await job(second, ran), {
    state: 'failed',
    reason: 'moved',
    message: /another data directory.*roost rerun/,
    attempts: [{ number: 1, state: 'lost' }]
  })
  t.match(await (await ask(second, 'GET', '/health')).json(), { status: 'draining' }, 'a drain moves along')
  await ask(second, 'POST', '/v1/nodes/local/undrain')
  const again = await schedule(second, 'echo hi')
  t.equal(await (await ask(second, 'GET', `/v1/jobs/${again}/logs?follow=true`)).text(), 'hi\n')
})

await t.test('while the server stands still everybody is answered, and the key makes one job', async (t) => {
  const { databaseUrl } = await createSchema(t, secondUrl())
  const service = await startServiceFor(t, {
    env: { ROOST_PROCESS: 'on', ROOST_DATABASE_URL: databaseUrl }
  })
  const send = async () =>
    await fetch(`${service.url}/schedule`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${service.token}`,
        'content-type': 'application/json',
        'idempotency-key': 'k'
      },
      body: JSON.stringify({ task: { type: 'process', command: ['true'] } })
    })
  const over = fault('pause', 20)
  // It stands still once the service says so.
  while ((await fetch(`${service.url}/readyz`)).status === 200);
  t.equal((await fetch(`${service.url}/livez`)).status, 200)
  const answers = await Promise.all([send(), send(), ask(service, 'GET', '/v1/jobs')])
  for (const answer of answers) t.ok([409, 503].includes(answer.status), `${answer.status}`)
  t.match(await (await ask(service, 'GET', '/health')).json(), {
    status: 'degraded',
    reasons: [/^The database 127\.0\.0\.1:\d+\/roost /]
  })
  await over
  while ((await fetch(`${service.url}/readyz`)).status !== 200);
  t.equal((await send()).status, 202)
  t.equal((await send()).headers.get('idempotency-replayed'), 'true')
  const { items } = (await (await ask(service, 'GET', '/v1/jobs')).json()) as { items: Job[] }
  t.equal(items.length, 1)
})
