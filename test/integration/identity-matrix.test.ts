import { Type } from '@sinclair/typebox'
import t from 'tap'
import { build, type TestLike } from '../build.ts'
import { createFakeRuntime } from '../fake-runtime.ts'
import { checkIdentity } from '../identity-matrix.ts'

const open = async (t: TestLike) =>
  await build(
    t,
    // The matrix sends more bad tokens than a guest may.
    { process: 'off', limits: { authFailures: 'off' } },
    { runtimes: [createFakeRuntime({ exitCode: null }).runtime] }
  )

await t.test(
  'every operation: no token, a bad one, wrong scopes, another tenant, the right scope',
  async (t) => {
    const { faults, asked, operations } = await checkIdentity(await open(t), t.testdir())
    t.same(faults, [])
    t.equal(asked.length, operations, 'all of them')
    for (const one of ['scheduleJob', 'streamJob', 'followJob', 'listTokens', 'getHealth'])
      t.ok(asked.includes(one), `${one} among them`)
  }
)

await t.test('a new route without a scope stops the start', async (t) => {
  const app = await open(t)
  app.get('/v1/planted', { schema: { operationId: 'planted' } }, async () => 'oops')
  await t.rejects(async () => await app.ready(), /\/v1\/planted declares no scope/)
})

await t.test('a new route is in the matrix by itself, and what it gives away is found', async (t) => {
  const app = await open(t)
  const response = { 200: Type.Any({ description: 'Everything.' }) }
  app.get(
    '/v1/planted',
    { config: { scope: 'read:jobs' }, schema: { operationId: 'plantedList', response } },
    async () => await app.storage.jobs.list({ limit: 100 })
  )
  app.get(
    '/v1/planted/:id',
    { config: { scope: 'read:jobs' }, schema: { operationId: 'plantedThing', response } },
    async (request) => await app.storage.jobs.find((request.params as { id: string }).id)
  )
  const { faults, asked } = await checkIdentity(app, t.testdir())
  t.same([asked.includes('plantedList'), asked.includes('plantedThing')], [true, true])
  t.equal(faults.length, 2, faults.join('\n'))
  t.match(faults[0], /^GET \/v1\/planted with another tenant's token: 200/)
  t.match(faults[1], /^GET \/v1\/planted\/\{id\} with another tenant's token: 200/)
})
