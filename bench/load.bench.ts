import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startService, type Service } from '../test/start-service.ts'
import { startChild } from './child.ts'
import { withFolder } from './folder.ts'
import type { PostsRequest, PostsResult } from './load/posts.ts'
import type { MixedRequest, MixedResult } from './load/mixed.ts'
import { cpuSeconds, median, rssBytes } from './measure.ts'
import { endProfiled, profileFlags } from './profile.ts'
import type { BenchReport } from './report.ts'

const perSecond = 2_000
const sampleEveryMs = 1_000

export interface LoadOptions {
  /** Twenty seconds instead of ten minutes. */
  quick?: boolean
  /** A folder for a CPU profile of the service. */
  profile?: string
}

/** Ten minutes of everything at once, at a fixed rate, a twentieth of it garbage: errors, latencies, and what memory does. */
export const benchLoad = (options: LoadOptions): Promise<BenchReport> =>
  withFolder('load', (dataDir) => run(dataDir, options))

async function run(dataDir: string, { quick = false, profile }: LoadOptions): Promise<BenchReport> {
  const seconds = quick ? 20 : 600
  const config = join(dataDir, 'roost.yaml')
  const echo = fileURLToPath(new URL('load/echo-runtime.ts', import.meta.url))
  await writeFile(
    config,
    JSON.stringify({ plugins: [echo], capacity: { slots: 64, cpu: 64, memory: '64Gi' } })
  )
  const service = await startService({
    dataDir,
    nodeFlags: profileFlags(profile),
    env: { ROOST_RATE_LIMIT: '100000000/60' },
    flags: ['--config', config]
  })
  const bare = startChild<string>('bare-server')
  const posts = startChild<PostsResult>('posts')
  const mixed = startChild<MixedResult>('mixed')
  try {
    const bareP99 = await measureBare(bare, posts, quick)
    const cpuBefore = cpuSeconds(service.pid)
    const memory = sampleMemory(service)
    const request: MixedRequest = {
      port: service.port,
      token: service.token,
      perSecond,
      milliseconds: seconds * 1000,
      connections: 128
    }
    const result = await mixed.ask(request)
    const samples = memory.end()
    const cpu = cpuSeconds(service.pid) - cpuBefore
    for (const fault of result.firstFaults) process.stderr.write(`${fault}\n`)
    const third = Math.floor(samples.length / 3)
    const [middle, last] = [
      median(samples.slice(third, 2 * third)),
      median(samples.slice(2 * third, 3 * third))
    ]
    const latency = (group: keyof MixedResult['groups']) => [
      { what: `${group}, p50`, value: result.groups[group].p50Ms, unit: 'ms' },
      { what: `${group}, p99`, value: result.groups[group].p99Ms, unit: 'ms' }
    ]
    return {
      name: 'load',
      title: `load: ${seconds} s of everything at ${perSecond.toLocaleString('en')} requests/s`,
      method: `Open loop: requests are due at a fixed rate whatever the service does, and count from when they were due; streams until their last frame. 10 % submits (each job prints a line and ends; no process is started, so that it is the service that is measured), 70 % reads, 15 % streams (SSE and WebSocket, read to the end), 5 % garbage (no JSON, wrong fields, wrong tokens, unknown paths and jobs, wrong methods, no HTTP, huge headers). Finished jobs are purged after 30 s while it goes on. An error is any answer that is not the right one for its request. Baseline of the latencies: Fastify alone, a POST with the same schemas and no storage, at full speed over 64 connections just before.`,
      figures: [
        { what: 'requests', value: result.requests, unit: '' },
        { what: 'errors that are not the client’s', value: result.faults, unit: '', bar: 'load.errors' },
        { what: 'jobs accepted', value: result.groups.accept.count, unit: '' },
        ...latency('accept').map((figure, at) => (at === 1 ? { ...figure, baseline: bareP99 } : figure)),
        ...latency('read'),
        ...latency('stream'),
        ...latency('garbage'),
        { what: 'RSS, middle third', value: middle / 2 ** 20, unit: 'MiB' },
        {
          what: 'RSS, last third',
          value: last / 2 ** 20,
          baseline: middle / 2 ** 20,
          unit: 'MiB'
        },
        { what: 'last third over middle third', value: last / middle, unit: '', bar: 'load.rssGrowth' },
        { what: 'cores used by the service', value: cpu / seconds, unit: '' },
        { what: 'waiting for a connection at the end', value: result.backlog, unit: '' }
      ]
    }
  } finally {
    await Promise.all([endProfiled(service, profile), bare.end(), posts.end(), mixed.end()])
  }
}

async function measureBare(
  bare: ReturnType<typeof startChild<string>>,
  posts: ReturnType<typeof startChild<PostsResult>>,
  quick: boolean
): Promise<number> {
  const request: PostsRequest = {
    port: Number(new URL(await bare.ask({})).port),
    headers: {},
    path: '/schedule',
    body: '{"task":{"type":"bench/echo"}}',
    connections: 64,
    expectStatus: 202,
    warmUpMs: 1_000,
    measureMs: quick ? 2_000 : 10_000
  }
  return (await posts.ask(request)).p99Ms
}

function sampleMemory(service: Service): { end(): number[] } {
  const samples: number[] = []
  const timer = setInterval(() => samples.push(rssBytes(service.pid)), sampleEveryMs)
  return {
    end() {
      clearInterval(timer)
      return samples
    }
  }
}
