import fc from 'fast-check'
import t from 'tap'
import { chunkBytes, cut, type Eagerness } from '../../plugins/runtimes/process/chunk.ts'
import { formatCursor, parseCursor } from '../../plugins/runtimes/process/cursor.ts'

/** Reads `bytes` as a tail does: what has arrived so far, in looks of growing patience, at most `limit` bytes each. */
function readAll(bytes: Uint8Array, arrivals: readonly number[], limit: number): Uint8Array[] {
  const chunks: Uint8Array[] = []
  let at = 0
  let arrived = 0
  const look = (eagerness: Eagerness) => {
    const seen = bytes.subarray(at, Math.min(arrived, at + limit))
    const take = cut(seen, seen.length === limit ? 'full' : eagerness)
    if (take > 0) chunks.push(seen.subarray(0, take))
    at += take
    return take
  }
  for (const step of arrivals) {
    arrived = Math.min(bytes.length, arrived + step)
    while (look('fresh') > 0);
    look('waited')
  }
  arrived = bytes.length
  while (at < bytes.length) if (look('end') === 0) break
  return chunks
}

await t.test('any bytes, arriving anyhow, come out exactly', (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 400 }),
      fc.array(fc.nat(40)),
      fc.integer({ min: 1, max: 64 }),
      (bytes, arrivals, limit) => {
        const chunks = readAll(bytes, arrivals, limit)
        return Buffer.concat(chunks).equals(bytes) && chunks.every((chunk) => chunk.length <= limit)
      }
    ),
    { numRuns: 500 }
  )
  t.end()
})

await t.test('no chunk of valid text splits a character', (t) => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', maxLength: 100 }),
      fc.array(fc.nat(20)),
      fc.integer({ min: 4, max: 64 }),
      (text, arrivals, limit) => {
        const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
        return (
          readAll(Buffer.from(text), arrivals, limit)
            .map((chunk) => decoder.decode(chunk))
            .join('') === text
        )
      }
    ),
    { numRuns: 500 }
  )
  t.end()
})

await t.test('lines stay whole where their end is in reach', (t) => {
  t.equal(cut(Buffer.from('one\ntwo\nthr'), 'fresh'), 8)
  t.equal(cut(Buffer.from('one\ntwo\nthr'), 'full'), 8)
  t.equal(cut(Buffer.from('password: '), 'fresh'), 0)
  t.equal(cut(Buffer.from('password: '), 'waited'), 10)
  t.equal(cut(Buffer.from([0x61, 0xe2, 0x82]), 'waited'), 1, 'half a euro sign waits')
  t.equal(cut(Buffer.from([0x61, 0xe2, 0x82]), 'end'), 3)
  t.end()
})

await t.test('a chunk as base64 fits a frame of 64 KiB', (t) => {
  t.ok(Buffer.alloc(chunkBytes).toString('base64').length <= 64 * 1024)
  t.end()
})

await t.test('a cursor survives its stored form', (t) => {
  const size = fc.nat()
  fc.assert(
    fc.property(size, size, size, size, (stdout, stderr, a, b) => {
      const cursor = { stdout, stderr, dropped: { stdout: a, stderr: b } }
      t.same(parseCursor(formatCursor(cursor)), cursor)
    }),
    { numRuns: 50 }
  )
  t.same(parseCursor(null), { stdout: 0, stderr: 0, dropped: { stdout: 0, stderr: 0 } })
  t.throws(() => parseCursor('7'))
  t.end()
})
