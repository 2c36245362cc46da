import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { startService, type Service } from '../test/start-service.ts'
import { endProfiled, profileFlags } from './profile.ts'
import { startChild } from './child.ts'
import { createClient } from './client.ts'
import { withFolder } from './folder.ts'
import type { ReaderOptions, Reading } from './load/frame-reader.ts'
import { storeLongLog } from './long-log.ts'
import { alternate, cpuSeconds, median, pause, rssBytes } from './measure.ts'
import type { BenchReport, Figure } from './report.ts'

const MiB = 2 ** 20

/** Many readers of one busy job, some of them slow; and a late reader of a long log. */
export const benchStream = ({
  quick = false,
  profile
}: {
  quick?: boolean
  profile?: string
}): Promise<BenchReport> =>
  withFolder('stream', async (dataDir) => {
    const frames = quick ? 100_000 : 400_000
    const longJob = await storeLongLog(dataDir, frames)
    const service = await startService({
      dataDir,
      nodeFlags: profileFlags(profile),
      env: { ROOST_PROCESS: 'on' }
    })
    try {
      const crowd = await crowdAround(
        service,
        dataDir,
        quick ? { readers: 200, slow: 20, chunks: 100 } : { readers: 1000, slow: 100, chunks: 400 }
      )
      const replay = await replayLate(service, longJob, frames, quick ? 2 : 5)
      return {
        name: 'stream',
        title: 'stream: many readers, slow readers, late readers',
        method: `${crowd.method} Late reader: one reader replays a stored log of ${frames.toLocaleString('en')} frames from its first one; baseline: \`ws\` alone sending the same frames out of memory; medians of alternating rounds.`,
        figures: [...crowd.figures, ...replay]
      }
    } finally {
      await endProfiled(service, profile)
    }
  })

/** The job prints 16 KiB every 20 ms or so; a slow reader takes 32 KiB, then nothing for 100 ms. */
const chunkBytes = 16 * 1024
const slowness = { bytes: 32 * 1024, pauseMs: 100 }

async function crowdAround(
  service: Service,
  dataDir: string,
  { readers, slow, chunks }: { readers: number; slow: number; chunks: number }
): Promise<{ method: string; figures: Figure[] }> {
  const piece = join(dataDir, 'piece.txt')
  await writeFile(
    piece,
    `${'all work and no play makes a dull job. '.repeat(500).slice(0, chunkBytes - 1)}\n`
  )
  const gate = join(dataDir, 'go')
  const client = createClient(service)
  const groups = [startChild<Reading[]>('readers'), startChild<Reading[]>('readers')] as const
  try {
    // It starts to print when the readers are there.
    const script = `while [ ! -e "$1" ]; do sleep 0.05; done; i=0; while [ $i -lt ${chunks} ]; do cat "$2"; sleep 0.02; i=$((i+1)); done`
    const { id } = await client.submit({
      task: { type: 'process', command: ['sh', '-c', script, 'busy', gate, piece] }
    })
    await pause(1000)
    const before = rssBytes(service.pid)
    const options = Array.from({ length: readers }, (_, index): ReaderOptions => ({
      port: service.port,
      token: service.token,
      path: `/stream/${id}`,
      slow: index < slow ? slowness : null
    }))
    // The slow ones are spread over both groups.
    await Promise.all(
      groups.map((group, parity) => group.ask({ open: options.filter((_, index) => index % 2 === parity) }))
    )
    const connected = rssBytes(service.pid)
    let peak = connected
    const sampling = setInterval(() => (peak = Math.max(peak, rssBytes(service.pid))), 100)
    const cpuBefore = cpuSeconds(service.pid)
    const startedAt = performance.now()
    await writeFile(gate, '')
    const readings = (await Promise.all(groups.map((group) => group.ask({ finish: true })))).flat()
    const seconds = (performance.now() - startedAt) / 1000
    clearInterval(sampling)

    const job = await client.job(id)
    assert.equal(job.state, 'succeeded')
    const logged = await client.readEvents(id, 1)
    const text = logged.map((frame) => (frame.type === 'log' ? frame.text : '')).join('')
    assert.equal(text.length, chunks * chunkBytes, 'the log holds all that was printed')
    assert.equal(logged.length, job.lastSeq)
    const [first] = readings
    assert.ok(first !== undefined && first.pauses > 10, 'slow readers were slow')
    const lost = readings.reduce(
      (sum, reading) => sum + reading.faults + Math.abs(job.lastSeq - reading.frames),
      0
    )
    const cut = readings.filter(
      (reading) => !reading.ended || reading.closeCode !== 1000 || reading.checksum !== first.checksum
    ).length
    const total = readings.reduce((sum, reading) => sum + reading.bytes, 0)
    return {
      method: `${readers.toLocaleString('en')} WebSocket readers, ${slow} of them slow (${slowness.bytes / 1024} KiB, then a pause of ${slowness.pauseMs} ms), on a job that prints ${((chunks * chunkBytes) / MiB).toFixed(1)} MiB; every reader reads to the end and all must have read the same bytes in ${job.lastSeq} frames without a hole.`,
      figures: [
        { what: 'frames lost or doubled', value: lost, unit: '', bar: 'stream.lostFrames' },
        { what: 'readers cut short or served otherwise', value: cut, unit: '', bar: 'stream.lostFrames' },
        {
          what: 'RSS growth, readers and log',
          value: (peak - before) / MiB,
          unit: 'MiB',
          bar: 'stream.rssGrowthMiB'
        },
        { what: 'of it for the open connections', value: (connected - before) / MiB, unit: 'MiB' },
        { what: 'delivered', value: total / MiB / seconds, unit: 'MiB/s' },
        { what: 'until the last reader was done', value: seconds, unit: 's' },
        { what: 'CPU of the service', value: cpuSeconds(service.pid) - cpuBefore, unit: 's' }
      ]
    }
  } finally {
    client.close()
    await Promise.all(groups.map((group) => group.end()))
  }
}

async function replayLate(service: Service, id: string, frames: number, rounds: number): Promise<Figure[]> {
  const bare = startChild<number>('bare-stream')
  const reader = startChild<Reading[]>('readers')
  try {
    const barePort = await bare.ask({ frames })
    const replay = async (port: number, path: string): Promise<number> => {
      const startedAt = performance.now()
      await reader.ask({ open: [{ port, path, token: service.token, slow: null }] })
      const [reading] = await reader.ask({ finish: true })
      const seconds = (performance.now() - startedAt) / 1000
      assert.ok(reading !== undefined)
      assert.deepEqual([reading.frames, reading.faults, reading.closeCode], [frames, 0, 1000])
      return frames / seconds
    }
    const roost = () => replay(service.port, `/stream/${id}`)
    const alone = () => replay(barePort, '/')
    await alternate(1, roost, alone)
    const { a, b } = await alternate(rounds, roost, alone)
    return [
      {
        what: 'late reader replays',
        value: median(a),
        baseline: median(b),
        unit: 'frames/s',
        bar: 'stream.replayPerSecond'
      }
    ]
  } finally {
    await Promise.all([bare.end(), reader.end()])
  }
}
