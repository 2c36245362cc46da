import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Job } from '../../src/schemas/job.ts'
import { startServiceFor } from '../start-service.ts'

type Service = Awaited<ReturnType<typeof startServiceFor>>

async function ask<T>(service: Service, path: string, body?: object): Promise<T> {
  const response = await fetch(`${service.url}${path}`, {
    headers: { authorization: `Bearer ${service.token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) })
  })
  return (await response.json()) as T
}

/** Starts a job that has printed its first line when this resolves. */
async function startJob(service: Service, script: string): Promise<string> {
  const { id } = await ask<Job>(service, '/schedule', {
    task: { type: 'process', command: ['sh', '-c', script] }
  })
  const response = await fetch(`${service.url}/v1/jobs/${id}/logs?follow=true`, {
    headers: { authorization: `Bearer ${service.token}` }
  })
  const reader = response.body!.getReader()
  await reader.read()
  await reader.cancel()
  return id
}

await t.test('a stop leaves jobs running, and the next start follows them to their end', async (t) => {
  const service = await startServiceFor(t, {})
  const go = join(t.testdir(), 'go')
  const id = await startJob(service, `echo begun; until [ -e '${go}' ]; do sleep 0.05; done; echo ended`)
  await service.kill('SIGTERM')
  await service.restart()
  t.match(await ask<Job>(service, `/v1/jobs/${id}`), {
    state: 'running',
    attempts: [{ number: 1, state: 'running' }]
  })
  t.ok(
    service.lines.some((line) => line.includes('took up the jobs of the last run')),
    'the start says so in its log'
  )
  await writeFile(go, '')
  const logs = await fetch(`${service.url}/v1/jobs/${id}/logs?follow=true`, {
    headers: { authorization: `Bearer ${service.token}` }
  })
  t.equal(await logs.text(), 'begun\nended\n')
  t.match(await ask<Job>(service, `/v1/jobs/${id}`), { state: 'succeeded', attempts: [{ number: 1 }] })
})

await t.test('--stop-jobs ends them first and puts them back into the queue', async (t) => {
  const service = await startServiceFor(t, { flags: ['--stop-jobs'] })
  const gone = join(t.testdir(), 'gone')
  const id = await startJob(
    service,
    `trap 'touch ${gone}; exit' TERM; echo begun; while :; do sleep 0.05; done`
  )
  await service.kill('SIGTERM')
  t.ok(existsSync(gone), 'the job had its TERM before the service ended')
  await service.restart()
  const job = await ask<Job>(service, `/v1/jobs/${id}`)
  t.equal(job.attempts[0]?.state, 'evicted')
})
