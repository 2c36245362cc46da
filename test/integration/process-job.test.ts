import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Job } from '../../src/schemas/job.ts'
import { asAdmin, build } from '../build.ts'
import { folderFor } from '../fixtures/process-runtime.ts'

type App = Awaited<ReturnType<typeof build>>

async function run(app: App, command: string[], spec: object = {}): Promise<{ job: Job; logs: string }> {
  const accepted = await app.inject({
    method: 'POST',
    url: '/schedule',
    headers: asAdmin,
    payload: { task: { type: 'process', command }, ...spec }
  })
  if (accepted.statusCode !== 202) throw new Error(accepted.body)
  const { id } = accepted.json<Job>()
  const logs = await app.inject({ url: `/v1/jobs/${id}/logs?follow=true`, headers: asAdmin })
  return { job: (await app.inject({ url: `/v1/jobs/${id}`, headers: asAdmin })).json<Job>(), logs: logs.body }
}

await t.test('real processes through the whole service', async (t) => {
  const app = await build(t, { process: 'on', dataDir: folderFor(t) })
  await app.listen({ port: 0, host: '127.0.0.1' })
  await t.test('output and exit code', async (t) => {
    const { job, logs } = await run(app, ['sh', '-c', 'echo out; echo err >&2; exit 3'])
    t.match(job, { state: 'failed', reason: 'exit-nonzero', result: { exitCode: 3 } })
    t.same(logs.split('\n').sort(), ['', 'err', 'out'])
  })
  await t.test('a signal is named', async (t) => {
    t.match((await run(app, ['sh', '-c', 'kill -9 $$'])).job, {
      state: 'failed',
      reason: 'signalled',
      attempts: [{ signal: 'SIGKILL' }]
    })
  })
  await t.test('a command or folder that is not there fails at once, in words', async (t) => {
    t.match((await run(app, ['no-such-program-here'])).job, {
      state: 'failed',
      reason: 'command-not-found',
      message: /no-such-program-here/
    })
    const { job } = await run(app, ['true'], {
      task: { type: 'process', command: ['true'], cwd: '/no/such/folder' }
    })
    t.match(job, { state: 'failed', reason: 'cwd-missing', message: /\/no\/such\/folder/ })
  })
  await t.test('the service’s own variables never reach a job; its own do', async (t) => {
    const { logs } = await run(app, ['env'], { env: { MINE: 'a b' } })
    const names = logs
      .trim()
      .split('\n')
      .map((line) => line.split('=')[0]!)
    t.ok(names.includes('MINE') && names.includes('ROOST_JOB_ID') && names.includes('ROOST_ATTEMPT'))
    t.same(
      names.filter((name) => name.startsWith('TAP') || name.startsWith('npm_') || name === 'ROOST_TOKEN'),
      []
    )
  })
  await t.test('retries run again in a new attempt', async (t) => {
    const { job, logs } = await run(app, ['sh', '-c', 'echo $ROOST_ATTEMPT; [ $ROOST_ATTEMPT = 2 ]'], {
      retry: { maxAttempts: 3, backoffSeconds: 0 }
    })
    t.match(job, { state: 'succeeded', attempts: [{ state: 'failed' }, { state: 'succeeded' }] })
    t.equal(logs, '1\n2\n')
  })
})

await t.test('files of attempts that nobody knows any more are removed at the start', async (t) => {
  const dataDir = folderFor(t)
  const attempts = join(dataDir, 'attempts')
  const stale = 'roost-01hzzzzzzzzzzzzzzzzzzzzzzz-1'
  mkdirSync(join(attempts, stale), { recursive: true })
  writeFileSync(join(attempts, stale, 'file'), 'left by a crash')
  const app = await build(t, { process: 'on', dataDir })
  await app.ready()
  t.same(
    readdirSync(attempts).filter((name) => name.startsWith(stale)),
    []
  )
})

await t.test(
  'jobs run as another user where one is named, also below a data directory of ours',
  { skip: process.getuid?.() === 0 ? false : 'naming another user needs root' },
  async (t) => {
    const dataDir = folderFor(t)
    const app = await build(t, { process: 'on', dataDir, jobUser: 'nobody' })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const { logs } = await run(app, ['sh', '-c', 'id -un; touch here && echo mine; cat ../../roost.db'])
    t.match(logs, /^nobody$/m)
    t.match(logs, /^mine$/m)
    t.match(logs, /denied/, 'what is the service’s stays closed')
  }
)
