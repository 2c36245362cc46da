import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { startService } from '../test/start-service.ts'
import { createClient, type Client } from './client.ts'
import { withFolder } from './folder.ts'
import { storeLongLog } from './long-log.ts'
import { rssBytes } from './measure.ts'
import type { BenchReport } from './report.ts'

/** Bytes of each table of the database with its indexes. */
type Tables = Record<string, number>

const KiB = 2 ** 10
const clients = 16
/** As a team would send it: a name, a command of some words, a label, an Idempotency-Key. */
const spec = (n: number) => ({
  name: `nightly-${n}`,
  task: { type: 'bench/echo' },
  env: { TARGET: 'docs', STAGE: 'nightly' },
  resources: { cpu: 0.1, memory: '64Mi' },
  labels: { team: 'docs' }
})

/** What a job, a frame, an audit entry and a waiting job take: the figures of docs/operations.md. */
export const benchSizing = ({ quick = false } = {}): Promise<BenchReport> =>
  withFolder('sizing', async (dataDir) => {
    const jobs = quick ? 500 : 2_000
    const changes = quick ? 200 : 1_000
    const frames = quick ? 20_000 : 100_000
    const waiting = quick ? 2_000 : 10_000
    const empty = await withService(dataDir, 64, async () => {})
    const ran = await withService(dataDir, 64, async (client) => {
      await submit(client, jobs)
      for (let n = 0; n < jobs; n++) {
        const name = `nightly-${n}`
        const [job] = (await client.expect(200, 'GET', `/v1/jobs?name=${name}`)).json<{
          items: { id: string }[]
        }>().items
        // To its last frame, which is its end.
        await client.readEvents(job!.id, 1)
      }
    })
    const changed = await withService(dataDir, 64, async (client) => {
      for (let n = 0; n < changes; n++)
        await client.expect(204, 'PUT', '/v1/secrets/key', { body: { value: `value-${n}` } })
    })
    await storeLongLog(dataDir, frames)
    const logged = tablesOf(dataDir)
    let perWaitingJob = 0
    await withFolder('waiting', (folder) =>
      withService(folder, 1, async (client, pid) => {
        await client.submit({ task: { type: 'bench/echo', milliseconds: 60_000 } })
        await submit(client, 500)
        const before = rssBytes(pid)
        await submit(client, waiting, 500)
        perWaitingJob = (rssBytes(pid) - before) / waiting
      })
    )
    const each = (later: Tables, before: Tables, count: number, tables: RegExp) =>
      (sum(later, tables) - sum(before, tables)) / count
    const kept = /^(jobs|attempts|job_labels|job_dependencies)/
    return {
      name: 'sizing',
      title: 'sizing: what things take',
      method: `Bytes of the tables and their indexes after ${jobs.toLocaleString('en')} jobs of a typical spec that print one line (5 frames, one attempt; nothing of them is a process here), then ${changes.toLocaleString('en')} secrets set one after the other, then a log of ${frames.toLocaleString('en')} frames of 62 bytes of output each. Memory: RSS before and after ${waiting.toLocaleString('en')} jobs were accepted that wait.`,
      figures: [
        { what: 'a finished job, without its log', value: each(ran, empty, jobs, kept), unit: 'bytes' },
        { what: 'its log of 5 frames', value: each(ran, empty, jobs, /^events/), unit: 'bytes' },
        { what: 'an Idempotency-Key', value: each(ran, empty, jobs, /^idempotency/), unit: 'bytes' },
        {
          what: 'audit of a job, accepted under load',
          value: each(ran, empty, jobs, /^audit/),
          unit: 'bytes'
        },
        { what: 'audit of one change alone', value: each(changed, ran, changes, /^audit/), unit: 'bytes' },
        {
          what: 'a frame with 62 bytes of output',
          value: each(logged, changed, frames, /^events/),
          unit: 'bytes'
        },
        { what: 'memory of a job that waits', value: perWaitingJob / KiB, unit: 'KiB' }
      ]
    }
  })

async function withService(
  dataDir: string,
  slots: number,
  work: (client: Client, pid: number) => Promise<void>
): Promise<Tables> {
  const config = join(dataDir, 'roost.yaml')
  const echo = fileURLToPath(new URL('load/echo-runtime.ts', import.meta.url))
  await writeFile(config, JSON.stringify({ plugins: [echo], capacity: { slots, cpu: 64, memory: '64Gi' } }))
  const service = await startService({ dataDir, flags: ['--config', config] })
  const client = createClient(service, clients)
  try {
    await work(client, service.pid)
    await service.kill('SIGTERM')
    return tablesOf(dataDir)
  } finally {
    client.close()
    await service.end()
  }
}

/** Submits so many jobs, {@link clients} at a time. */
async function submit(client: Client, count: number, first = 0): Promise<void> {
  let next = first
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (next < first + count) {
        const n = next++
        const headers = { 'idempotency-key': `nightly-${n}` }
        await client.expect(202, 'POST', '/schedule', { body: spec(n), headers })
      }
    })
  )
}

function tablesOf(dataDir: string): Tables {
  const database = new Database(join(dataDir, 'roost.db'), { readonly: true })
  const rows = database
    .prepare(
      `select schema.tbl_name as name, sum(stat.pgsize) as bytes
       from dbstat as stat join sqlite_schema as schema on schema.name = stat.name group by schema.tbl_name`
    )
    .all() as { name: string; bytes: number }[]
  database.close()
  return Object.fromEntries(rows.map(({ name, bytes }) => [name, bytes]))
}

const sum = (tables: Tables, names: RegExp): number =>
  Object.entries(tables).reduce((bytes, [name, of]) => (names.test(name) ? bytes + of : bytes), 0)
