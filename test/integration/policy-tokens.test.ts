import t from 'tap'
import { loadConfig } from '../../src/config/load.ts'
import { asAdmin } from '../build.ts'
import { jobOf, openPolicyApp, problemOf, running, until } from '../fixtures/policy-app.ts'
import { createIssuer, createKey } from '../jwt-issuer.ts'

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

await t.test(
  'what a policy says of a token by name holds for its jobs when the token is gone and the service new',
  async (t) => {
    const policies = `policies:
  - {name: ci, tenants: [a], tokens: ["ci-*"], user: nobody, quota: {running: 2}, eviction: {protectedLabels: ["tier=prod"]}}
`
    const dataDir = t.testdir()
    const first = await openPolicyApp(t, policies, { dataDir })
    const { headers, id } = await first.tokenOf('a', 'ci-1')
    const runs = [
      jobOf(await first.submit(headers, { labels: { tier: 'prod' } })),
      jobOf(await first.submit(headers))
    ]
    const waits = [jobOf(await first.submit(headers)), jobOf(await first.submit(headers))]
    await running(first.app, 2)
    const url = `/v1/tokens/${id}`
    t.equal((await first.app.inject({ method: 'DELETE', url, headers: asAdmin })).statusCode, 204)
    await first.app.close()

    const { app, fake, post } = await openPolicyApp(t, policies, { dataDir })
    await running(app, 2)
    t.match(problemOf(await post('/evict', { jobId: runs[0]!.id })), { status: 403, policy: 'ci' })
    const before = (await app.inject({ url: `/v1/jobs/${waits[0]!.id}`, headers: asAdmin })).json()
    t.match(before, { state: 'queued', reason: 'quota' }, 'its quota holds')
    await fake.finish(`roost-${runs[1]!.id}-1`, 0)
    await running(app, 2)
    t.match(fake.started, [{ jobId: waits[0]!.id, user: 'nobody' }], 'and its account')
  }
)

await t.test('a rerun belongs to the tenant and the token of the first job, whoever asks', async (t) => {
  const { app, fake, tokenOf, submit, post } = await openPolicyApp(
    t,
    `policies:
  - {name: strangers, tenants: [a], tokens: ["ci-*"], user: nobody, quota: {submissionsPerMinute: 3}, webhooks: {hosts: [hooks.example]}}
`
  )
  await app.secrets.set('default', 'prod', 'of-default')
  const { headers } = await tokenOf('a', 'ci-1')
  const asked = jobOf(
    await submit(headers, { secrets: { KEY: 'prod' }, webhook: { url: 'https://hooks.example/x' } })
  )
  const url = `/v1/jobs/${asked.id}/rerun`
  const again = jobOf(await post(url, {}))
  t.equal(again.tenant, 'a')
  await until(app, async () => (await app.storage.jobs.countByState()).failed === 2)
  t.match(
    await app.storage.jobs.find(again.id),
    { state: 'failed', reason: 'secret-missing' },
    'no secret of the tenant that asks'
  )
  t.same(fake.started, [])

  const plain = jobOf(await submit(headers))
  await running(app, 1)
  t.match(fake.started, [{ tenant: 'a', user: 'nobody' }])
  t.match(problemOf(await post(`/v1/jobs/${plain.id}/rerun`, {})), {
    code: 'quota-exceeded',
    policy: 'strangers'
  })
  const { items } = (await app.inject({ url: '/v1/audit?action=job.rerun', headers: asAdmin })).json()
  t.match(items, [{ subject: again.id, actor: 'local', detail: { rerunOf: asked.id } }])
})

await t.test('a rerun of another token’s job needs the right to submit it oneself', async (t) => {
  const { tokenOf, submit, post } = await openPolicyApp(
    t,
    `policies:
  - {name: tight, tenants: [a], tokens: [tight], allow: {env: ["APP_*"]}}
`
  )
  const [free, tight] = [await tokenOf('a', 'free'), await tokenOf('a', 'tight')]
  const { id } = jobOf(await submit(free.headers, { env: { HOME: '/tmp' } }))
  t.match(problemOf(await post(`/v1/jobs/${id}/rerun`, {}, tight.headers)), {
    status: 403,
    code: 'policy-denied',
    policy: 'tight'
  })
  t.equal((await post(`/v1/jobs/${id}/rerun`, {}, free.headers)).statusCode, 202)
})

await t.test('an llm task needs llm:invoke too, in a dry run and in a rerun as well', async (t) => {
  const { tokenOf, post } = await openPolicyApp(t, 'policies: []', { runtime: { taskTypes: ['llm'] } })
  const full = await tokenOf('a', 'full', ['write:jobs', 'read:jobs', 'llm:invoke'])
  const { headers } = await tokenOf('a', 'jobs')
  const spec = { task: { type: 'llm', model: 'm', messages: [{ role: 'user', content: 'hi' }] } }
  const { id } = jobOf(await post('/schedule', spec, full.headers))
  t.equal((await post('/schedule?dryRun=true', spec, full.headers)).statusCode, 200)
  t.equal((await post('/v1/policies/explain', spec, headers)).statusCode, 200, 'it only explains')
  for (const url of ['/schedule', '/schedule?dryRun=true', `/v1/jobs/${id}/rerun`])
    t.match(problemOf(await post(url, url.endsWith('rerun') ? {} : spec, headers)), {
      status: 403,
      code: 'forbidden',
      detail: /llm:invoke/
    })
  t.equal((await post(`/v1/jobs/${id}/rerun`, {}, full.headers)).statusCode, 202)
})

await t.test('a trace context is no variable that the job asked for', async (t) => {
  const { fake, app, tokenOf, submit } = await openPolicyApp(
    t,
    `policies:\n  - {name: few, tenants: [a], allow: {env: ["APP_*"]}}\n`
  )
  const { headers } = await tokenOf('a')
  jobOf(await submit({ ...headers, traceparent }, { env: { APP_X: '1' } }))
  await running(app, 1)
  t.match(fake.started[0]?.env, { APP_X: '1', TRACEPARENT: /^00-0af7651916cd43dd8448eb211c80319c-/ })
  t.match(problemOf(await submit(headers, { env: { TRACEPARENT: traceparent } })), {
    status: 403,
    detail: /TRACEPARENT/
  })
})

await t.test('the subject of a JWT is no name of a token, its id is', async (t) => {
  const key = await createKey('k1')
  const issuer = await createIssuer(t, [key])
  const jwt = [{ issuer: issuer.url, audience: 'roost', defaultTenant: 'a' }]
  const { config } = loadConfig([], { ROOST_JWT: JSON.stringify(jwt) })
  const { app, file, tokenOf, submit } = await openPolicyApp(
    t,
    `policies:\n  - {name: hooks, tenants: [a], tokens: [deployer], webhooks: {hosts: [hooks.example]}}\n`,
    { config: { jwt: config.jwt } }
  )
  const exp = Math.floor(Date.now() / 1000) + 600
  const token = await issuer.sign(key, { sub: 'deployer', scope: 'read:jobs write:jobs', exp })
  const asSubject = { authorization: `Bearer ${token}`, host: 'localhost' }
  const webhook = { url: 'https://hooks.example/x' }
  t.equal((await submit((await tokenOf('a', 'deployer')).headers, { webhook })).statusCode, 202)
  t.match(problemOf(await submit(asSubject, { webhook })), { status: 403, detail: /no policy lets webhooks/ })
  const { tokenId } = await app.auth.authenticate(token, () => 'none')
  file.write(
    `policies:\n  - {name: hooks, tenants: [a], tokens: ["${tokenId}"], webhooks: {hosts: [hooks.example]}}\n`
  )
  await app.policies.reload()
  t.equal((await submit(asSubject, { webhook })).statusCode, 202)
})
