import { createRequire } from 'node:module'
import t from 'tap'
import type { Job } from '../../src/schemas/job.ts'
import { asAdmin, build } from '../build.ts'
import { createFakeRuntime } from '../fake-runtime.ts'

await t.test('who has no webhooks loads nothing for them', async (t) => {
  const { cache } = createRequire(import.meta.url)
  const isLoaded = () => Object.keys(cache).some((file) => file.includes('/standardwebhooks/'))
  const fake = createFakeRuntime()
  const app = await build(t, { process: 'off' }, { runtimes: [fake.runtime] })
  await app.ready()
  const answer = await app.inject({
    method: 'POST',
    url: '/schedule',
    headers: asAdmin,
    payload: { task: { type: 'test/fake' } }
  })
  const { id } = answer.json<Job>()
  while ((await app.storage.jobs.find(id))?.state !== 'succeeded')
    await new Promise<void>((resolve) => setImmediate(resolve))
  const list = await app.inject({ url: `/v1/jobs/${id}/webhooks`, headers: asAdmin })
  t.same(list.json(), { items: [], cursor: null })
  t.equal(isLoaded(), false)
  await import('standardwebhooks')
  t.equal(isLoaded(), true, 'it would have been seen')
})
