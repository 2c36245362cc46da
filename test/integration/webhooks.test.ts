import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Job } from '../../src/schemas/job.ts'
import type { Problem } from '../../src/schemas/problem.ts'
import { WebhookEvent, type WebhookDelivery } from '../../src/schemas/webhook.ts'
import { compileSchema } from '../../src/validation.ts'
import { asAdmin, build } from '../build.ts'
import { createFakeRuntime, type FakeRuntimeOptions } from '../fake-runtime.ts'
import { startReceiver, verified } from '../webhook-receiver.ts'

const here = {
  name: 'hooks',
  tenants: ['*'],
  webhooks: { hosts: ['127.0.0.1', '*.example.com'], addresses: ['127.0.0.0/8'], http: true }
}

async function open(t: Test, policies: object[] = [here], runtime: FakeRuntimeOptions = {}) {
  const folder = t.testdir()
  const policiesFile = join(folder, 'policies.json')
  writeFileSync(policiesFile, JSON.stringify({ policies }))
  const fake = createFakeRuntime(runtime)
  const app = await build(
    t,
    { process: 'off', dataDir: join(folder, 'data'), policiesFile },
    { runtimes: [fake.runtime] }
  )
  await app.ready()
  const submit = (webhook: object, more: object = {}) =>
    app.inject({
      method: 'POST',
      url: '/schedule',
      headers: asAdmin,
      payload: { name: 'hooked', task: { type: 'test/fake' }, labels: { team: 'a' }, webhook, ...more }
    })
  const get = async <T>(url: string) => (await app.inject({ url, headers: asAdmin })).json<T>()
  const deliveries = async (id: string) =>
    (await get<{ items: WebhookDelivery[] }>(`/v1/jobs/${id}/webhooks`)).items
  const untilState = async (id: string, state: WebhookDelivery['state'], attempts = 1) => {
    for (;;) {
      const [delivery] = await deliveries(id)
      if (delivery?.state === state && delivery.attempts >= attempts) return delivery
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
  }
  const { secret } = await get<{ secret: string }>('/v1/webhooks/secret')
  return { app, fake, submit, get, deliveries, untilState, secret, policiesFile }
}

await t.test(
  'the end of a job is told to a receiver that verifies it with the standard library',
  async (t) => {
    const receiver = await startReceiver(t)
    const { submit, untilState, secret, app } = await open(t)
    const { id } = (await submit({ url: receiver.url })).json<Job>()
    await receiver.until(1)
    const [received] = receiver.received
    t.match(verified(secret, received!), {
      type: 'job.succeeded',
      timestamp: /Z$/,
      data: {
        id,
        name: 'hooked',
        state: 'succeeded',
        exitCode: 0,
        attempts: 1,
        labels: { team: 'a' },
        tenant: 'default'
      }
    })
    t.same(compileSchema(WebhookEvent)(JSON.parse(received!.body)), [], 'as the document says')
    t.match(received!.headers, {
      'content-type': 'application/json',
      'user-agent': /^Roost\//,
      'webhook-id': /^msg_[0-9a-z]{26}$/,
      'webhook-timestamp': /^\d{10}$/,
      'webhook-signature': /^v1,/
    })
    t.throws(
      () => verified(`whsec_${Buffer.alloc(32).toString('base64')}`, received!),
      /No matching signature/
    )
    t.match(await untilState(id, 'delivered'), {
      id: received!.headers['webhook-id'],
      attempts: 1,
      lastStatus: 204,
      lastError: null,
      nextAttemptAt: null
    })
    const metrics = (await app.inject({ url: '/metrics', headers: asAdmin })).body
    t.match(metrics, /^roost_webhook_attempts_total\{outcome="delivered"\} 1$/m)
    t.match(metrics, /^roost_webhooks_undelivered\{state="failed"\} 0$/m)
  }
)

await t.test('a job that fails, that is cancelled, that its dependency fails: each is told', async (t) => {
  const receiver = await startReceiver(t)
  const { app, fake, submit, secret } = await open(t, [here], { exitCode: null })
  const failing = (await submit({ url: receiver.url })).json<Job>()
  while (fake.running.size === 0) await new Promise<void>((resolve) => setImmediate(resolve))
  await fake.finish(`roost-${failing.id}-1`, 3)
  await receiver.until(1)
  t.match(verified(secret, receiver.received[0]!), {
    type: 'job.failed',
    data: { id: failing.id, reason: 'exit-nonzero', exitCode: 3 }
  })
  const dependent = (await submit({ url: receiver.url }, { dependsOn: [failing.id] })).json<Job>()
  await receiver.until(2)
  t.match(verified(secret, receiver.received[1]!), { data: { id: dependent.id, attempts: 0 } })
  const cancelled = (await submit({ url: receiver.url })).json<Job>()
  await app.inject({ method: 'DELETE', url: `/v1/jobs/${cancelled.id}`, headers: asAdmin })
  await receiver.until(3)
  t.match(verified(secret, receiver.received[2]!), { type: 'job.cancelled', data: { id: cancelled.id } })
  t.equal(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size, 3)
})

await t.test(
  'a named secret signs instead; neither it nor the key of the tenant is told anywhere',
  async (t) => {
    const receiver = await startReceiver(t)
    const { app, submit, secret, untilState, get } = await open(t)
    const raw = 'canary-5c1d-of-the-webhook'
    const standard = `whsec_${Buffer.from('canary-of-32-bytes-0123456789abc').toString('base64')}`
    for (const [name, value] of [
      ['raw', raw],
      ['standard', standard]
    ] as const)
      await app.inject({ method: 'PUT', url: `/v1/secrets/${name}`, headers: asAdmin, payload: { value } })
    const first = (await submit({ url: receiver.url, secret: 'standard' })).json<Job>()
    await untilState(first.id, 'delivered')
    t.equal(verified(standard, receiver.received[0]!).data.id, first.id)
    const second = (await submit({ url: receiver.url, secret: 'raw' })).json<Job>()
    await untilState(second.id, 'delivered')
    t.equal(
      verified(`whsec_${Buffer.from(raw).toString('base64')}`, receiver.received[1]!).data.id,
      second.id
    )
    const said = JSON.stringify([
      app.logLines,
      receiver.received.map(({ headers, body }) => [headers, body]),
      await Promise.all(
        ['/v1/audit', '/v1/jobs', '/v1/secrets', `/v1/jobs/${first.id}/webhooks`, '/metrics', '/health'].map(
          async (url) => (await app.inject({ url, headers: asAdmin })).body
        )
      )
    ])
    for (const value of [raw, standard, standard.slice(6), secret, secret.slice(6)]) t.notMatch(said, value)
    t.match(await get('/v1/secrets'), { items: [{ name: 'raw' }, { name: 'standard' }] })
    t.equal(
      (await get<{ items: object[] }>('/v1/secrets')).items.length,
      2,
      "the tenant's key is not among them"
    )
    t.match(await get('/v1/audit?action=webhook.secret.read'), { items: [{ actor: 'local' }] })

    await app.inject({ method: 'DELETE', url: '/v1/secrets/raw', headers: asAdmin })
    const refused = await submit({ url: receiver.url, secret: 'raw' })
    t.equal(refused.statusCode, 422)
    t.match(refused.json<Problem>().errors, [{ pointer: '/webhook/secret', message: /roost secret set raw/ }])
  }
)

await t.test('without a policy nothing may be called, and a refusal says what to write where', async (t) => {
  const { submit } = await open(t, [])
  const refused = await submit({ url: 'https://hook.example.com/' })
  t.equal(refused.statusCode, 403)
  t.match(refused.json(), { code: 'policy-denied', detail: /name the host in webhooks\.hosts of a policy/ })
})

await t.test('policies say which hosts, which private addresses, and whether by http', async (t) => {
  const receiver = await startReceiver(t)
  const { submit } = await open(t, [
    {
      name: 'hooks',
      tenants: ['*'],
      webhooks: { hosts: ['*.example.com', '127.0.0.1', '10.0.0.1'], addresses: ['10.0.0.0/8'] }
    }
  ])
  const denied: [string, RegExp][] = [
    ['https://example.org/', /policy "hooks": webhooks may go to \*\.example\.com/],
    ['http://ci.example.com/', /by https only/],
    [receiver.url.replace('http:', 'https:'), /127\.0\.0\.1 is no public address; a policy must name it/],
    [`https://2130706433:${receiver.port}/`, /127\.0\.0\.1 is no public address/],
    [`https://0x7f.1:${receiver.port}/`, /127\.0\.0\.1 is no public address/],
    ['https://[::ffff:127.0.0.1]/', /may go to/],
    ['https://ci.example.com.evil.test/', /may go to/]
  ]
  for (const [url, detail] of denied) {
    const answer = await submit({ url })
    t.equal(answer.statusCode, 403, url)
    t.match(answer.json<Problem>(), { code: 'policy-denied', detail }, url)
  }
  for (const url of [
    'ftp://ci.example.com/',
    'https://u:p@ci.example.com/',
    'https://ci.example.com:25/',
    'nonsense',
    ''
  ]) {
    const answer = await submit({ url })
    t.equal(answer.statusCode, 422, url)
    t.match(answer.json<Problem>().errors, [{ pointer: '/webhook/url' }], url)
  }
  t.equal((await submit({ url: 'https://10.0.0.1/' }, { constraints: [] })).statusCode, 202)
  t.equal(receiver.received.length, 0)
})

await t.test('a policy that changed meanwhile counts at the next try', async (t) => {
  const receiver = await startReceiver(t)
  const { app, fake, submit, untilState, policiesFile } = await open(t, [here], { exitCode: null })
  const { id } = (await submit({ url: receiver.url })).json<Job>()
  while (fake.running.size === 0) await new Promise<void>((resolve) => setImmediate(resolve))
  writeFileSync(
    policiesFile,
    JSON.stringify({ policies: [{ name: 'closed', tenants: ['*'], webhooks: {} }] })
  )
  await app.policies.reload()
  await fake.finish(`roost-${id}-1`, 0)
  const delivery = await untilState(id, 'pending')
  t.match(delivery, {
    attempts: 1,
    lastStatus: null,
    lastError: /policy "closed": webhooks may go to no host/
  })
  t.equal(receiver.received.length, 0)
})

await t.test('a redirect is not followed; what the receiver says is not repeated', async (t) => {
  const inner = await startReceiver(t)
  const receiver = await startReceiver(t, ({ response }) =>
    response.writeHead(307, { location: inner.url }).end('internal words')
  )
  const { submit, untilState } = await open(t)
  const { id } = (await submit({ url: receiver.url })).json<Job>()
  const delivery = await untilState(id, 'pending')
  t.match(delivery, { lastStatus: 307, lastError: /Redirects are not followed/ })
  t.notMatch(JSON.stringify(delivery), 'internal words')
  t.equal(inner.received.length, 0)
  t.equal((await submit({ url: receiver.url, extra: 1 })).statusCode, 422)
})

await t.test('another tenant sees neither the job nor its callbacks', async (t) => {
  const receiver = await startReceiver(t)
  const { app, submit, untilState } = await open(t)
  const { id } = (await submit({ url: receiver.url })).json<Job>()
  await untilState(id, 'delivered')
  const { token } = await app.auth.create({ name: 'b', scopes: ['read:jobs'], tenant: 'b' })
  const asOther = { ...asAdmin, authorization: `Bearer ${token}` }
  const ask = async (url: string) => (await app.inject({ url, headers: asOther })).statusCode
  t.same([await ask(`/v1/jobs/${id}/webhooks`), await ask('/v1/webhooks/secret')], [404, 403])
  const shown = await app.inject({ url: '/v1/webhooks/secret', headers: asAdmin })
  t.equal(shown.headers['cache-control'], 'no-store', 'a key is for no cache')
  await app.inject({ method: 'DELETE', url: `/v1/jobs/${id}?purge=true`, headers: asAdmin })
  t.same(await app.storage.webhooks.listByJob(id), [], 'a purge takes them along')
})
