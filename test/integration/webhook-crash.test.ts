import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { WebhookDelivery } from '../../src/schemas/webhook.ts'
import { startServiceFor, type Service } from '../start-service.ts'
import { startReceiver, verified } from '../webhook-receiver.ts'

const ask = async <T>(service: Service, path: string, body?: object): Promise<T> => {
  const response = await fetch(`${service.url}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${service.token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  return (await response.json()) as T
}

/** A service that may call this machine, and dies after the next commit of a frame where `arm` was called before. */
async function start(t: Test) {
  const folder = t.testdir()
  const armed = join(folder, 'armed')
  const plugin = fileURLToPath(new URL('../fixtures/plugin-dies-after-commit.ts', import.meta.url))
  const config = join(folder, 'roost.yaml')
  const policiesFile = join(folder, 'policies.yaml')
  writeFileSync(
    policiesFile,
    'policies: [{name: hooks, tenants: ["*"], webhooks: {hosts: [127.0.0.1], addresses: [127.0.0.1], http: true}}]'
  )
  writeFileSync(config, JSON.stringify({ policiesFile, plugins: [{ path: plugin, options: { armed } }] }))
  const service = await startServiceFor(t, { flags: ['--config', config], env: { ROOST_PROCESS: 'on' } })
  const { secret } = await ask<{ secret: string }>(service, '/v1/webhooks/secret')
  const until = async (id: string, holds: (deliveries: WebhookDelivery[]) => boolean) => {
    for (;;) {
      const { items } = await ask<{ items: WebhookDelivery[] }>(service, `/v1/jobs/${id}/webhooks`)
      if (holds(items)) return items
    }
  }
  return { service, secret, folder, until, arm: () => writeFileSync(armed, '') }
}

await t.test(
  'killed with -9 between the end of a job and its callback: the callback comes after the restart',
  async (t) => {
    const receiver = await startReceiver(t)
    const { service, secret, folder, until, arm } = await start(t)
    const go = join(folder, 'go')
    const command = ['sh', '-c', 'while [ ! -e "$0" ]; do sleep 0.02; done', go]
    const webhook = { url: receiver.url }
    const { id } = await ask<{ id: string }>(service, '/schedule', {
      task: { type: 'process', command },
      webhook
    })
    while ((await ask<{ state: string }>(service, `/v1/jobs/${id}`)).state !== 'running');
    arm()
    const died = service.ended()
    writeFileSync(go, '')
    await died
    t.equal(receiver.received.length, 0)
    await service.restart()
    await receiver.until(1)
    t.match(verified(secret, receiver.received[0]!), {
      type: 'job.succeeded',
      data: { id, state: 'succeeded' }
    })
    t.match(await until(id, ([one]) => one?.state === 'delivered'), [{ attempts: 1 }])
    t.equal(receiver.received.length, 1)
  }
)

await t.test(
  'killed with -9 between the call and its note: it is called again with the same id',
  async (t) => {
    const receiver = await startReceiver(t, ({ response }, index) => {
      // The first one is received and never answered.
      if (index > 0) response.writeHead(200).end()
    })
    const { service, secret, until } = await start(t)
    const webhook = { url: receiver.url }
    const { id } = await ask<{ id: string }>(service, '/schedule', {
      task: { type: 'process', command: ['true'] },
      webhook
    })
    await receiver.until(1)
    await service.kill('SIGKILL')
    await service.restart()
    await receiver.until(2)
    t.match(await until(id, ([one]) => one?.state === 'delivered'), [{ attempts: 1, lastStatus: 200 }])
    const [first, second] = receiver.received
    t.equal(second!.headers['webhook-id'], first!.headers['webhook-id'])
    t.equal(second!.body, first!.body)
    for (const one of [first!, second!]) t.equal(verified(secret, one).data.id, id)
  }
)
