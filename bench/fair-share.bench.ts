import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { unrestricted } from '../src/domain/policy.ts'
import { nothing } from '../src/domain/queue/amounts.ts'
import { defaultMsPerPoint } from '../src/domain/queue/order.ts'
import { pass } from '../src/domain/queue/pass.ts'
import { createRunning } from '../src/domain/queue/running.ts'
import { createWaiting, type WaitingJob } from '../src/domain/queue/waiting.ts'
import { startService, type Service } from '../test/start-service.ts'
import { createClient } from './client.ts'
import { withFolder } from './folder.ts'
import { createPriorityQueue } from './load/priority-queue.ts'
import { alternate, median, waitFor } from './measure.ts'
import type { BenchReport } from './report.ts'

const seconds = 1
const slots = 8
/**
 * What each tenant may run at one time: the large one all of the node, so that what keeps room for the small one is its
 * share (4 of 8) and no quota. The small one's is below its share, or it would be slower beside anybody than alone.
 */
const quota = { small: 2, large: slots }
/** So many jobs of the small tenant come at once: its own quota makes them wait, also alone. */
const burst = 24
const times = 10

/** A small tenant beside one that asks for ten times as much, and what a look at a long queue costs. */
export const benchFairShare = ({ quick = false }: { quick?: boolean }): Promise<BenchReport> =>
  withFolder('fair-share', (dataDir) => run(dataDir, quick))

async function run(dataDir: string, quick: boolean): Promise<BenchReport> {
  const policies = join(dataDir, 'policies.yaml')
  await writeFile(
    policies,
    JSON.stringify({
      policies: Object.entries(quota).map(([tenant, running]) => ({
        name: tenant,
        tenants: [tenant],
        quota: { running }
      }))
    })
  )
  const config = join(dataDir, 'roost.yaml')
  await writeFile(
    config,
    JSON.stringify({
      policiesFile: policies,
      capacity: { slots, cpu: 64, memory: '64Gi' },
      plugins: [fileURLToPath(new URL('load/sleep-runtime.ts', import.meta.url))]
    })
  )
  const service = await startService({
    dataDir,
    env: { ROOST_PROCESS: 'off', ROOST_RATE_LIMIT: 'off' },
    flags: ['--config', config]
  })
  try {
    const [small, large] = [await tokenOf(service, 'small'), await tokenOf(service, 'large')]
    const alone = async () => await waits(service, small)
    const beside = async () => {
      // All of it is there first, and runs wherever there is room.
      const flood = await offer(service, large, burst * times)
      const found = await waits(service, small)
      await cancelAll(service, flood)
      return found
    }
    const rounds = await alternate(quick ? 1 : 3, alone, beside)
    const [waitAlone, waitBeside] = [median(rounds.a.flat()), median(rounds.b.flat())]
    const costs = measureQueue(quick ? 10_000 : 100_000)
    return {
      name: 'fair-share',
      title: 'fair-share: a small tenant beside a large one, and a long queue',
      method: `The real service with ${slots} slots; jobs are real processes that sleep ${seconds} s (a runtime of bench/load/, as process jobs of two tenants need two accounts). The small tenant (quota ${quota.small} running) submits ${burst} jobs at once; ${burst * times} of the large one (quota ${quota.large}, all of the node) are there before, and some of them wait to the end. A wait is from the acceptance to the start of the process. Baseline: the small tenant alone, in alternating rounds (${rounds.a.length}). The queue: ${costs.jobs.toLocaleString('en')} jobs of 1,000 tenants in one process, no service; baseline: the order before it (priority, then age, one queue for all).`,
      figures: [
        { what: 'median wait of the small tenant', value: waitBeside, baseline: waitAlone, unit: 'ms' },
        { what: 'ratio of the waits', value: waitBeside / waitAlone, unit: '', bar: 'fair-share.wait' },
        {
          what: 'a look that starts nothing',
          value: costs.idle,
          baseline: costs.plain.idle,
          unit: 'µs',
          bar: 'fair-share.lookMicroseconds'
        },
        { what: 'a look that starts one', value: costs.start, baseline: costs.plain.start, unit: 'µs' },
        { what: 'a job added', value: costs.add, baseline: costs.plain.add, unit: 'µs' }
      ]
    }
  } finally {
    await service.end()
  }
}

async function tokenOf(service: Service, tenant: string): Promise<string> {
  const client = createClient(service)
  const body = { name: tenant, tenant, scopes: ['read:jobs', 'write:jobs'] }
  const made = await client.expect(201, 'POST', '/v1/tokens', { body })
  client.close()
  return made.json<{ token: string }>().token
}

/** Submits so many jobs at once and gives their ids. */
async function offer(service: Service, token: string, jobs: number): Promise<string[]> {
  const client = createClient({ url: service.url, token }, 16)
  const accepted = await Promise.all(
    Array.from({ length: jobs }, () => client.submit({ task: { type: 'bench/sleep', seconds } }))
  )
  client.close()
  return accepted.map(({ id }) => id)
}

/** Milliseconds from acceptance to start of each job. */
async function waits(service: Service, token: string): Promise<number[]> {
  const ids = await offer(service, token, burst)
  const client = createClient({ url: service.url, token })
  const found: number[] = []
  for (const id of ids) {
    const job = await waitFor(`job ${id}`, async () => {
      const job = await client.job(id)
      return job.state === 'succeeded' ? job : null
    })
    found.push(Date.parse(job.startedAt!) - Date.parse(job.createdAt))
  }
  client.close()
  return found
}

/** Ends what is left of the flood, so that the next round begins with an empty node. */
async function cancelAll(service: Service, ids: readonly string[]): Promise<void> {
  const client = createClient(service, 16)
  await Promise.all(ids.map((id) => client.request('DELETE', `/v1/jobs/${id}`)))
  await waitFor('an empty node', async () => {
    const { items } = (
      await client.expect(200, 'GET', '/v1/jobs?state=queued,scheduled,running&limit=1')
    ).json<{ items: [] }>()
    return items.length === 0 ? true : null
  })
  client.close()
}

const total = { millicores: 8_000, memoryBytes: 2 ** 33, gpu: 0, slots: 16 }

function waitingJob(i: number): WaitingJob {
  const cpu = [0.1, 0.5, 1, 2][i % 4]!
  return {
    id: String(i).padStart(8, '0'),
    tenant: `tenant-${i % 1_000}`,
    token: 'local',
    tokenName: 'local',
    priority: (i * 7) % 101,
    createdAt: i,
    since: i,
    needs: { ...nothing, millicores: cpu * 1000, memoryBytes: 2 ** 20, slots: 1 },
    longestMs: 3_600_000,
    notBefore: null,
    waitingFor: new Set(),
    preemptedBy: [],
    taskType: 'process',
    resources: { cpu, memoryBytes: 2 ** 20, gpu: 0 },
    constraints: [],
    locality: 'prefer-local',
    node: null
  }
}

/** Microseconds of each step, the least of its rounds: other work on the machine does not count. */
function measureQueue(jobs: number) {
  const waiting = createWaiting(defaultMsPerPoint)
  const running = createRunning()
  const plain = createPriorityQueue()
  let now = jobs
  const look = (free: typeof total): number => {
    const before = waiting.size
    pass({
      waiting,
      running,
      rulesFor: () => unrestricted,
      total,
      free,
      now: ++now,
      suits: () => true,
      start: (job) => waiting.remove(job.id) !== undefined
    })
    return before - waiting.size
  }
  const least = (rounds: number, work: () => void): number => {
    let best = Infinity
    for (let i = 0; i < rounds; i++) {
      const begin = performance.now()
      work()
      best = Math.min(best, (performance.now() - begin) * 1000)
    }
    return best
  }
  const entries = Array.from({ length: jobs }, (_, i) => waitingJob(i))
  const part = jobs / 100
  let added = 0
  const add =
    least(100, () => {
      for (const entry of entries.slice(added, (added += part))) waiting.add(entry)
    }) / part
  added = 0
  const plainAdd =
    least(100, () => {
      for (const { id, priority } of entries.slice(added, (added += part)))
        plain.add({ id, priority, slots: 1 })
    }) / part
  const idle = least(200, () => assert.equal(look({ ...total, slots: 0 }), 0))
  const start = least(200, () => assert.equal(look({ ...total, slots: 1 }), 1))
  const plainIdle = least(200, () => assert.equal(plain.look(0), 0))
  const plainStart = least(200, () => assert.equal(plain.look(1), 0))
  return { jobs, idle, start, add, plain: { idle: plainIdle, start: plainStart, add: plainAdd } }
}
