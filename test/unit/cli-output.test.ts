import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import t from 'tap'
import {
  ago,
  bytes,
  createPaint,
  cut,
  duration,
  phrase,
  plain,
  shellLine,
  table,
  write
} from '../../src/cli/output.ts'
import { ranFor } from '../../src/cli/commands/ps.ts'
import { parseDuration, parseInteger, parsePair } from '../../src/cli/units.ts'

await t.test('columns are aligned, numbers to the right, the last one is cut to the terminal', async (t) => {
  t.equal(
    table(
      ['ID', 'N', 'WHY'],
      [
        ['a', '5', 'short'],
        ['bcd', '12', 'x'.repeat(60)]
      ],
      { columns: 40 }
    ),
    ['ID    N  WHY', 'a     5  short', `bcd  12  ${'x'.repeat(30)}…`, ''].join('\n')
  )
})

await t.test('colours are for terminals and go where NO_COLOR is set', async (t) => {
  t.equal(createPaint({ isTTY: true }, {})('red', 'x'), '\x1b[31mx\x1b[0m')
  t.equal(createPaint({ isTTY: true }, { NO_COLOR: '1' })('red', 'x'), 'x')
  t.equal(createPaint({ isTTY: undefined }, {})('red', 'x'), 'x')
  const paint = createPaint({ isTTY: true }, {})
  t.equal(
    table(
      ['A', 'B'],
      [
        [paint('red', 'x'), 'y'],
        ['xyz', 'y']
      ]
    ).split('\n')[1],
    '\x1b[31mx\x1b[0m    y'
  )
})

await t.test('what others wrote cannot steer the terminal', async (t) => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => !/\p{Cc}/u.test(plain(text))))
  t.equal(plain('a\x1b[2Jb\nc\u202ed'), 'a [2Jb c d')
  t.equal(cut('ab…cd', 3), 'ab…')
})

await t.test('a phrase is the first of a text, and short', async (t) => {
  t.equal(
    phrase('restored from a backup: 3 waiting jobs start after "roost undrain" (they may have run)'),
    'restored from a backup: 3 waiting jobs start after "roost undrain"…'
  )
  t.equal(
    phrase('vm: 4 CPUs are free; other: none'),
    'vm: 4 CPUs are free…',
    'what stands before a colon alone says nothing'
  )
  t.equal(phrase('It exited with 3'), 'It exited with 3')
  t.equal(phrase('needs 1.5 GiB (of 1 GiB)'), 'needs 1.5 GiB…')
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => Array.from(phrase(text)).length <= 72))
})

await t.test('a job that waits has not run', async (t) => {
  const job = { startedAt: '2026-01-01T00:00:00Z', finishedAt: null }
  const now = Date.parse('2026-01-01T00:00:12Z')
  t.equal(ranFor({ ...job, state: 'queued' }, now), null)
  t.equal(ranFor({ ...job, state: 'running' }, now), '12s')
  t.equal(ranFor({ startedAt: null, finishedAt: '2026-01-01T00:00:05Z', state: 'cancelled' }, now), null)
  t.equal(ranFor({ ...job, finishedAt: '2026-01-01T00:00:05Z', state: 'failed' }, now), '5s')
})

await t.test('times and sizes are short', async (t) => {
  t.same([0, 850, 12_000, 200_000, 3_600_000, 9_000_000, 172_800_000].map(duration), [
    '0ms',
    '850ms',
    '12s',
    '3m20s',
    '1h',
    '2h30m',
    '2d'
  ])
  t.equal(ago('2026-01-01T00:00:00Z', Date.parse('2026-01-01T00:00:12Z')), '12s ago')
  t.equal(ago('2026-04-01T00:00:00Z', Date.parse('2026-01-01T00:00:05Z')), 'in 90d')
  t.equal(ago('2026-01-01T00:00:12Z', Date.parse('2026-01-01T00:00:00Z')), 'in 12s')
  t.same([0, 512, 1536, 64 * 2 ** 20, 3 * 2 ** 40].map(bytes), ['0 B', '512 B', '1.5 KiB', '64 MiB', '3 TiB'])
})

await t.test('a command is shown as one would type it', async (t) => {
  t.equal(shellLine(['sh', '-c', "echo it's $x"]), `sh -c 'echo it'\\''s $x'`)
})

await t.test('amounts are read with their units; a fault names the flag', async (t) => {
  t.same(
    ['90', '30s', '1h30m', '2d', '0.5'].map((text) => parseDuration(text, '--timeout')),
    [90, 30, 5400, 172_800, 0.5]
  )
  for (const text of ['', 'x', '5 m', '-1', '1w', '10s5'])
    t.throws(() => parseDuration(text, '--timeout'), /^--timeout must be/)
  t.equal(parseInteger('7', '--gpu', 0), 7)
  for (const text of ['', '-1', '1.5', '1e3', '101'])
    t.throws(
      () => parseInteger(text, '--priority', 0, 100),
      /^--priority must be a whole number from 0 to 100/
    )
  t.same(parsePair('K=a=b', '--env'), ['K', 'a=b'])
  t.throws(() => parsePair('=x', '--label'), /^--label must be KEY=VALUE/)
})

await t.test('a full stream holds the writer back', async (t) => {
  const stream = new PassThrough({ highWaterMark: 4 })
  let written = false
  const writing = write(stream, 'more than four').then(() => (written = true))
  await new Promise((resolve) => setImmediate(resolve))
  t.notOk(written)
  stream.resume()
  await writing
})
