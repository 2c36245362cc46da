import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Job } from '../../src/schemas/job.ts'
import { asAdmin, build } from '../build.ts'

const path = fileURLToPath(new URL('../fixtures/plugin-example/index.ts', import.meta.url))

await t.test('a plugin of the configuration adds a runtime, whose tasks run like any other', async (t) => {
  const app = await build(t, { process: 'off', plugins: [path] })
  await app.ready()
  const submit = async (task: object) =>
    await app.inject({ method: 'POST', url: '/schedule', headers: asAdmin, payload: { task } })

  const accepted = await submit({
    type: 'example/script',
    script: 'console.log("from a thread"); process.exit(4)'
  })
  t.equal(accepted.statusCode, 202, accepted.body)
  const { id } = accepted.json<Job>()
  const logs = await app.inject({ url: `/v1/jobs/${id}/logs?follow=true`, headers: asAdmin })
  t.equal(logs.body, 'from a thread\n')
  t.match((await app.inject({ url: `/v1/jobs/${id}`, headers: asAdmin })).json(), {
    state: 'failed',
    reason: 'exit-nonzero',
    result: { exitCode: 4 },
    attempts: [{ runtime: 'example-worker' }]
  })

  const refused = await submit({ type: 'example/script', scirpt: 'x' })
  t.equal(refused.statusCode, 422)
  t.same(
    refused
      .json<{ errors: { pointer: string }[] }>()
      .errors.map(({ pointer }) => pointer)
      .sort(),
    ['/task/scirpt', '/task/script']
  )

  const unknown = await submit({ type: 'example/other' })
  t.match(unknown.json(), { code: 'unplaceable', detail: /example\/other/ })
})

await t.test('a plugin that is not there, or is none, stops the start and is named', async (t) => {
  await t.rejects(
    build(t, { process: 'off', plugins: ['./no/such/plugin.ts'] }),
    /no\/such\/plugin\.ts.*cannot be loaded/
  )
  await t.rejects(
    build(t, { process: 'off', plugins: [fileURLToPath(new URL('../build.ts', import.meta.url))] }),
    /no default export/
  )
})
