import t from 'tap'
import type { Entry } from '../../src/cli/batch/entries.ts'
import { barText, createRate, progressText } from '../../src/cli/batch/progress.ts'
import { readBatch } from '../../src/cli/batch/read.ts'
import { summarise } from '../../src/cli/batch/summary.ts'

await t.test('each line is a job or a command; empty ones are left out', async (t) => {
  const { lines, bad } = readBatch(
    '\uFEFF{"name":"a","task":{"type":"process","command":["true"]}}\r\n\n["echo","hi"]\n  \n',
    '/here'
  )
  t.same(bad, [])
  t.same(lines, [
    { line: 1, spec: { name: 'a', task: { type: 'process', command: ['true'] } } },
    { line: 3, spec: { task: { type: 'process', command: ['echo', 'hi'], cwd: '/here' } } }
  ])
  t.same(readBatch('["true"]', null).lines[0]!.spec.task, { type: 'process', command: ['true'] })
})

await t.test('every line that is no job is told by its number', async (t) => {
  const { bad } = readBatch(
    'nonsense\n["a", 1]\n[]\n7\nnull\n{"command":["x"]}\n{"name":"x"}\n{"task":',
    null
  )
  t.same(
    bad.map(({ line }) => line),
    [1, 2, 3, 4, 5, 6, 7, 8]
  )
  t.match(
    bad.map(({ message }) => message),
    [
      /is not JSON/,
      /word 2 is no string/,
      /empty command/,
      /must be a JSON object/,
      /must be a JSON object/,
      /just the array/,
      /has no task/,
      /is not JSON/
    ]
  )
})

const counts = {
  total: 10_000,
  unsent: 100,
  queued: 9_000,
  running: 16,
  succeeded: 800,
  failed: 80,
  cancelled: 4
}

await t.test('the progress line tells how far it is, how fast it goes and how long it takes', async (t) => {
  t.equal(
    progressText(counts, 312.4),
    '884/10,000 done  80 failed  4 cancelled  16 running  9,000 queued  100 to send  312/s  29s left'
  )
  t.equal(
    progressText({ ...counts, unsent: 0, failed: 0, cancelled: 0 }, null),
    '800/10,000 done  16 running  9,000 queued'
  )
  t.equal(barText({ ...counts, succeeded: 5_000, failed: 0, cancelled: 0 }, 10), '█████░░░░░  ')
  t.equal(barText(counts, 2), '')
})

await t.test('the rate is that of the last seconds', async (t) => {
  const rate = createRate()
  t.equal(rate.add(0, 0), null)
  t.equal(rate.add(1_000, 100), 100)
  t.equal(rate.add(11_000, 100), 100 / 11)
  t.equal(rate.add(26_000, 130), 2)
})

function entry(
  line: number,
  state: Entry['state'],
  over: Partial<Entry> = {},
  ranMs: number | null = null
): Entry {
  const code = state === 'failed' ? 7 : 0
  const end = ranMs === null ? null : { exit: code, exitCode: code, waitedMs: 1_000, ranMs }
  return {
    line,
    spec: { task: { type: 'process', command: ['x'] } },
    id: `id-${line}`,
    state,
    message: code === 0 ? null : 'It exited with 7',
    end,
    ...over
  }
}

await t.test('the summary counts every line once and knows the percentiles', async (t) => {
  const entries = [
    ...Array.from({ length: 97 }, (_, i) => entry(i + 1, 'succeeded', {}, (i + 1) * 100)),
    entry(98, 'failed', {}, 10_000),
    entry(99, 'refused', { id: null, message: 'quota' }),
    entry(100, 'cancelled')
  ]
  const summary = summarise('b', entries, 5_000)
  t.match(summary, {
    total: 100,
    succeeded: 97,
    failed: 2,
    cancelled: 1,
    queued: 0,
    seconds: 5,
    ranSeconds: { p50: 4.9, p95: 9.4, max: 10 },
    waitedSeconds: { p50: 1 }
  })
  t.match(summary.jobs[97], {
    line: 98,
    id: 'id-98',
    state: 'failed',
    exitCode: 7,
    message: 'It exited with 7',
    seconds: 10
  })
  t.match(summary.jobs[98], { id: null, state: 'refused', message: 'quota', seconds: null })
})
