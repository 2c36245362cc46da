import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startService, type Service } from '../test/start-service.ts'
import { profileFlags } from './profile.ts'
import { startChild } from './child.ts'
import { createClient } from './client.ts'
import { withFolder } from './folder.ts'
import type { PostsRequest, PostsResult } from './load/posts.ts'
import { alternate, cpuSeconds, median } from './measure.ts'
import type { BenchReport } from './report.ts'

const job = { name: 'hello', task: { type: 'process', command: ['sh', '-c', 'echo hi'] }, env: { K: 'V' } }

export interface AcceptOptions {
  /** Short rounds, for a look while working. */
  quick?: boolean
  /** A folder for a CPU profile of the service. */
  profile?: string
}

interface Round extends PostsResult {
  /** Of the server process, warm-up included. */
  cpuMicrosecondsPerAnswer: number
}

/** Accepting alone: one slot, taken by a job that never ends, so that the accepted ones wait in the queue. */
export const benchAccept = (options: AcceptOptions): Promise<BenchReport> =>
  withFolder('accept', (dataDir) => run(dataDir, options))

async function run(dataDir: string, { quick = false, profile }: AcceptOptions): Promise<BenchReport> {
  const config = join(dataDir, 'roost.yaml')
  await writeFile(config, 'capacity: {slots: 1}\n')
  const service = await startService({
    dataDir,
    nodeFlags: profileFlags(profile),
    env: { ROOST_PROCESS: 'on', ROOST_RATE_LIMIT: '100000000/60' },
    flags: ['--config', config]
  })
  const bare = startChild<string>('bare-server')
  const load = startChild<PostsResult>('posts')
  try {
    const barePort = Number(new URL(await bare.ask({})).port)
    await occupy(service)
    const times = { warmUpMs: quick ? 500 : 1500, measureMs: quick ? 1500 : 5000 }
    const post = async (pid: number, port: number, headers: Record<string, string>): Promise<Round> => {
      const request: PostsRequest = {
        port,
        headers,
        path: '/schedule',
        body: JSON.stringify(job),
        connections: 64,
        expectStatus: 202,
        ...times
      }
      const before = cpuSeconds(pid)
      const result = await load.ask(request)
      return { ...result, cpuMicrosecondsPerAnswer: ((cpuSeconds(pid) - before) * 1e6) / result.answers }
    }
    const rounds = await alternate(
      quick ? 2 : 4,
      () => post(service.pid, service.port, { Authorization: `Bearer ${service.token}` }),
      () => post(bare.pid, barePort, {})
    )
    const accepted = rounds.a.reduce((sum, { answers }) => sum + answers, 0)
    assert.equal(await queueDepth(service), accepted, 'every 202 is a job in the queue')
    // A profile is written at an orderly end only.
    await service.kill(profile === undefined ? 'SIGKILL' : 'SIGTERM')
    await service.restart()
    assert.equal(await queueDepth(service), accepted, 'every 202 survives kill -9')

    const of = (results: readonly Round[], field: keyof Round) => median(results.map((round) => round[field]))
    const [rate, bareRate] = [of(rounds.a, 'rate'), of(rounds.b, 'rate')]
    return {
      name: 'accept',
      title: 'accept: POST /schedule',
      method: `64 connections, each with one request at a time, against the service as it is started by default plus a rate limit that is not reached; every 202 is fsynced, and all ${accepted.toLocaleString('en')} of them were still there after kill -9 and a restart. Baseline: Fastify alone with the same body and response schemas, no storage. Medians of ${rounds.a.length} alternating rounds.`,
      figures: [
        { what: 'accepted', value: rate, baseline: bareRate, unit: 'jobs/s' },
        { what: 'ratio of the rates', value: rate / bareRate, unit: '', bar: 'accept.ratio' },
        { what: 'p50', value: of(rounds.a, 'p50Ms'), baseline: of(rounds.b, 'p50Ms'), unit: 'ms' },
        {
          what: 'p99',
          value: of(rounds.a, 'p99Ms'),
          baseline: of(rounds.b, 'p99Ms'),
          unit: 'ms',
          bar: 'accept.p99Ms'
        },
        {
          what: 'CPU of the server for each',
          value: of(rounds.a, 'cpuMicrosecondsPerAnswer'),
          baseline: of(rounds.b, 'cpuMicrosecondsPerAnswer'),
          unit: 'µs'
        }
      ]
    }
  } finally {
    await Promise.all([service.end(), bare.end(), load.end()])
  }
}

/** Takes the one slot with a job that never ends. */
async function occupy(service: Service): Promise<void> {
  const client = createClient(service)
  try {
    const { id } = await client.submit({
      task: { type: 'process', command: ['sleep', 'infinity'] },
      timeoutSeconds: 86_400
    })
    const { socket, closed } = client.openStream(id, 1, (frame) => {
      if (frame.type === 'status' && frame.state === 'running') socket.close()
    })
    await closed
    assert.equal((await client.job(id)).state, 'running')
  } finally {
    client.close()
  }
}

async function queueDepth(service: Service): Promise<number> {
  const client = createClient(service)
  try {
    return (await client.expect(200, 'GET', '/health')).json<{ queue: { depth: number } }>().queue.depth
  } finally {
    client.close()
  }
}
