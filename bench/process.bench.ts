import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import { startService, type Service } from '../test/start-service.ts'
import { endProfiled, profileFlags } from './profile.ts'
import { createClient, type Client } from './client.ts'
import { withFolder } from './folder.ts'
import { alternate, cpuSeconds, median, quantile, waitFor } from './measure.ts'
import type { BenchReport } from './report.ts'

const clients = 16
const atOnce = 20

/** What a job costs as a process: the time to its first output, and how many go through in a second. */
export const benchProcess = ({
  quick = false,
  profile
}: {
  quick?: boolean
  profile?: string
}): Promise<BenchReport> =>
  withFolder('process', async (dataDir) => {
    const service = await startService({
      dataDir,
      nodeFlags: profileFlags(profile),
      env: { ROOST_PROCESS: 'on' }
    })
    const client = createClient(service, clients)
    try {
      // The first few warm up the service's code and its shims.
      for (let i = 0; i < 10; i++) await firstFrame(client)
      const each = quick ? 20 : 50
      const first = await alternate(
        4,
        () => repeat(each, () => firstFrame(client)),
        () => repeat(each, firstOutputOfSpawn)
      )
      const [frames, outputs] = [first.a.flat(), first.b.flat()]

      const jobs = quick ? 300 : 1500
      const through = await alternate(
        quick ? 1 : 3,
        () => runJobs(service, client, jobs),
        () => spawnAll(jobs)
      )
      const [rate, bareRate] = [median(through.a.map((round) => round.rate)), median(through.b)]
      return {
        name: 'process',
        title: 'process: submit to first log frame, and throughput',
        method: `First frame: ${frames.length} jobs \`sh -c 'echo hi'\` one after another, from the first byte of the POST to the first log frame over a WebSocket that is opened after the 202; baseline: child_process.spawn of the same to its first output. Throughput: ${jobs} jobs \`true\` submitted by ${clients} clients, from the first submit until all have succeeded, each in its first attempt; baseline: spawn('true'), ${atOnce} at a time. Medians over alternating rounds; client and service share the machine.`,
        figures: [
          {
            what: 'submit to first log frame, p50',
            value: median(frames),
            baseline: median(outputs),
            unit: 'ms',
            bar: 'process.firstFrameMs'
          },
          {
            what: 'submit to first log frame, p99',
            value: quantile(frames, 0.99),
            baseline: quantile(outputs, 0.99),
            unit: 'ms'
          },
          {
            what: 'throughput of `true`',
            value: rate,
            baseline: bareRate,
            unit: 'jobs/s',
            bar: 'process.jobsPerSecond'
          },
          {
            what: 'CPU of the service for each job',
            value: median(through.a.map((round) => round.cpuMilliseconds)),
            unit: 'ms'
          }
        ]
      }
    } finally {
      client.close()
      await endProfiled(service, profile)
    }
  })

async function repeat(count: number, measure: () => Promise<number>): Promise<number[]> {
  const times: number[] = []
  for (let i = 0; i < count; i++) times.push(await measure())
  return times
}

async function firstFrame(client: Client): Promise<number> {
  const startedAt = performance.now()
  const { id } = await client.submit({ task: { type: 'process', command: ['sh', '-c', 'echo hi'] } })
  let took = NaN
  let text = ''
  const { closed } = client.openStream(id, 1, (frame) => {
    if (frame.type !== 'log') return
    if (text === '') took = performance.now() - startedAt
    text += frame.text
  })
  assert.equal(await closed, 1000)
  assert.equal(text, 'hi\n')
  return took
}

async function firstOutputOfSpawn(): Promise<number> {
  const startedAt = performance.now()
  const child = spawn('sh', ['-c', 'echo hi'], { stdio: ['ignore', 'pipe', 'pipe'] })
  const closed = once(child, 'close')
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer]
  const took = performance.now() - startedAt
  assert.equal(chunk.toString('utf8'), 'hi\n')
  await closed
  return took
}

async function runJobs(
  service: Service,
  client: Client,
  count: number
): Promise<{ rate: number; cpuMilliseconds: number }> {
  const label = { round: String(performance.now()).replace('.', '-') }
  const cpuBefore = cpuSeconds(service.pid)
  const startedAt = performance.now()
  let next = 0
  const ids = new Set<string>()
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (next++ < count)
        ids.add((await client.submit({ labels: label, task: { type: 'process', command: ['true'] } })).id)
    })
  )
  assert.equal(ids.size, count)
  await waitFor('all jobs to finish', async () => {
    const health = (await client.expect(200, 'GET', '/health')).json<{
      queue: { depth: number }
      capacity: { slots: { used: number } }
    }>()
    return health.queue.depth === 0 && health.capacity.slots.used === 0 ? true : null
  })
  const seconds = (performance.now() - startedAt) / 1000
  const cpuMilliseconds = ((cpuSeconds(service.pid) - cpuBefore) * 1000) / count
  const done = (await client.listJobs()).filter(({ id }) => ids.has(id))
  assert.equal(done.length, count)
  for (const { id, state, attempts } of done)
    assert.deepEqual([id, state, attempts.length], [id, 'succeeded', 1])
  return { rate: count / seconds, cpuMilliseconds }
}

/** Jobs a second of the bare loop. */
async function spawnAll(count: number): Promise<number> {
  const startedAt = performance.now()
  let next = 0
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (next++ < count) {
        const [code] = await once(spawn('true', { stdio: 'ignore' }), 'close')
        assert.equal(code, 0)
      }
    })
  )
  return (count * 1000) / (performance.now() - startedAt)
}
