import { Ajv } from 'ajv'
import fc from 'fast-check'
import t from 'tap'
import { formatCpu, formatMemory, parseCpu, parseMemory, toMillicores } from '../../src/domain/quantity.ts'
import { Limits } from '../../src/schemas/job.ts'

await t.test('quantities as people write them', async (t) => {
  for (const [text, cores] of [
    [0.5, 0.5],
    ['0.5', 0.5],
    ['500m', 0.5],
    [0, 0],
    ['16', 16],
    ['1m', 0.001]
  ] as const) {
    t.equal(parseCpu(text), cores, String(text))
  }
  for (const [text, bytes] of [
    [1024, 1024],
    ['1024', 1024],
    ['64Mi', 67_108_864],
    ['1.5G', 1.5e9],
    ['2k', 2000],
    ['1Ti', 2 ** 40],
    ['0.5', 1],
    ['1.005k', 1005],
    ['0.1Gi', 107_374_183],
    ['3Ki', 3072],
    ['7M', 7e6],
    ['1T', 1e12]
  ] as const) {
    t.equal(parseMemory(text), bytes, String(text))
  }
})

await t.test('what the schema refuses is null, and nothing else', async (t) => {
  const validate = new Ajv({ strict: false }).compile<{ cpu?: string; memory?: string }>(Limits)
  const text = fc.oneof(
    fc.string({ maxLength: 8 }),
    fc
      .tuple(
        fc.nat(),
        fc.constantFrom('', '.5', '.1234', '.', '-'),
        fc.constantFrom('', 'm', 'Ki', 'Mi', 'Gi', 'Ti', 'k', 'M', 'G', 'T', 'K', 'mi', ' ')
      )
      .map((parts) => parts.join(''))
  )
  const value = fc.oneof(
    text,
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    fc.constantFrom(100_000, 100_001, 2 ** 50, 2 ** 50 + 1, -1)
  )
  fc.assert(
    fc.property(value, (value) => {
      const cpu = parseCpu(value)
      const memory = parseMemory(value)
      return (
        (cpu !== null) === validate({ cpu: value }) &&
        (memory !== null) === validate({ memory: value }) &&
        (cpu === null || cpu >= 0) &&
        (memory === null || (Number.isInteger(memory) && memory >= 0))
      )
    }),
    { numRuns: 2000 }
  )
  t.equal(parseCpu(NaN), null)
  t.equal(parseMemory(Infinity), null)
})

await t.test('millicores are whole and count what was written', async (t) => {
  fc.assert(fc.property(fc.nat(100_000_000), (milli) => toMillicores(milli / 1000) === milli))
  t.equal(toMillicores(0.0001), 1, 'less than a thousandth still counts')
  t.equal(toMillicores(0), 0)
})

await t.test('formats read well and can be written back', async (t) => {
  t.equal(formatCpu(1.5), '1.5')
  t.equal(formatCpu(2), '2')
  t.equal(formatCpu(0.0004), '0.001')
  t.equal(formatCpu(0.0004, 'down'), '0')
  t.equal(formatMemory(268_435_456), '256Mi')
  t.equal(formatMemory(1.5 * 2 ** 30), '1.5Gi')
  t.equal(formatMemory(2 ** 30 - 1, 'down'), '1023.9Mi')
  t.equal(formatMemory(100), '100')
  t.equal(formatMemory(0), '0')
  fc.assert(
    fc.property(
      fc.nat(2 ** 31).map((n) => n * 2 ** 15),
      (bytes) => {
        const up = parseMemory(formatMemory(bytes))!
        const down = parseMemory(formatMemory(bytes, 'down'))!
        return up >= bytes && down <= bytes + 1 && up <= bytes * 1.11 + 1
      }
    )
  )
})

await t.test('a need that is not met never looks as if it were', async () => {
  fc.assert(
    fc.property(fc.nat(2 ** 31), fc.nat(2 ** 31), (a, b) => {
      fc.pre(a !== b)
      return formatMemory(Math.max(a, b)) !== formatMemory(Math.min(a, b), 'down')
    })
  )
  fc.assert(
    fc.property(fc.nat(64_000), fc.nat(64_000), (a, b) => {
      fc.pre(a !== b)
      return formatCpu(Math.max(a, b) / 1000) !== formatCpu(Math.min(a, b) / 1000, 'down')
    })
  )
})
