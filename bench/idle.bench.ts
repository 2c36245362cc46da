import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { startService } from '../test/start-service.ts'
import { withFolder } from './folder.ts'
import { alternate, median, pause, rssBytes } from './measure.ts'
import type { BenchReport } from './report.ts'

const MiB = 2 ** 20
const settleMs = 5_000

/** What Roost costs a machine while nobody uses it: the start, and the memory 5 s later. */
export async function benchIdle({ quick = false } = {}): Promise<BenchReport> {
  const rounds = quick ? 3 : 7
  // Warms the disk's cache, and leaves the compiled code behind, which is written when the service is ready.
  await startRoost(true)
  const starts = await alternate(
    rounds,
    (round) => startRoost(round >= rounds - 3 && !quick),
    (round) => startBare(round >= rounds - 3 && !quick)
  )
  const readyMs = (results: readonly Start[]) => median(results.map((start) => start.readyMs))
  const rss = (results: readonly Start[]) => median(results.map((start) => start.rss)) / MiB
  const last = (results: readonly Start[]) => results.slice(quick ? 0 : -3)
  return {
    name: 'idle',
    title: 'idle: start and memory',
    method: `From the exec of Node to the ready line, with a new data directory each time (the first start makes a token and the database), median of ${rounds} after one to warm up; memory is VmRSS ${quick ? 'at once' : '5 s after ready, median of the last three'}. Baseline: Fastify with the two schemas of POST /schedule, measured alike.`,
    figures: [
      {
        what: 'exec to ready',
        value: readyMs(starts.a),
        baseline: readyMs(starts.b),
        unit: 'ms',
        bar: 'idle.readyMs'
      },
      {
        what: 'RSS',
        value: rss(last(starts.a)),
        baseline: rss(last(starts.b)),
        unit: 'MiB',
        bar: 'idle.rssMiB'
      }
    ]
  }
}

interface Start {
  readyMs: number
  rss: number
}

const startRoost = (settle: boolean): Promise<Start> =>
  withFolder('idle', async (dataDir) => {
    const service = await startService({ dataDir })
    try {
      if (settle) await pause(settleMs)
      return { readyMs: service.readyMs, rss: rssBytes(service.pid) }
    } finally {
      await service.end()
    }
  })

async function startBare(settle: boolean): Promise<Start> {
  const startedAt = performance.now()
  const child = spawn(process.execPath, [fileURLToPath(new URL('load/bare-server.ts', import.meta.url))], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const exited = once(child, 'exit')
  await once(createInterface({ input: child.stdout }), 'line')
  const readyMs = performance.now() - startedAt
  if (settle) await pause(settleMs)
  const rss = rssBytes(child.pid ?? -1)
  child.kill('SIGKILL')
  await exited
  return { readyMs, rss }
}
