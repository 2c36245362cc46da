import fc from 'fast-check'
import t from 'tap'
import {
  compileConstraint,
  describeMismatch,
  validateConstraint
} from '../../src/domain/placement/constraints.ts'
import { constraintOperators, type Constraint } from '../../src/schemas/job.ts'

const labels = { arch: 'amd64', zone: 'a', 'memory-gib': '64', generation: '-3', note: 'seven' }
const cases: [Constraint['operator'], string, string[] | undefined, boolean][] = [
  ['In', 'arch', ['arm64', 'amd64'], true],
  ['In', 'arch', ['arm64'], false],
  ['In', 'gone', ['amd64'], false],
  ['In', 'arch', undefined, false],
  ['NotIn', 'arch', ['arm64'], true],
  ['NotIn', 'arch', ['amd64'], false],
  ['NotIn', 'gone', ['amd64'], true],
  ['Exists', 'arch', undefined, true],
  ['Exists', 'gone', undefined, false],
  ['DoesNotExist', 'arch', undefined, false],
  ['DoesNotExist', 'gone', [], true],
  ['Gt', 'memory-gib', ['63'], true],
  ['Gt', 'memory-gib', ['64'], false],
  ['Gt', 'note', ['1'], false],
  ['Gt', 'gone', ['1'], false],
  ['Lt', 'memory-gib', ['65'], true],
  ['Lt', 'memory-gib', ['64'], false],
  ['Lt', 'generation', ['-2'], true],
  ['Lt', 'generation', ['+1'], true],
  ['Gt', 'memory-gib', ['1.5'], false],
  ['Gt', 'memory-gib', [], false],
  ['Gt', 'memory-gib', ['1', '2'], false],
  ['Lt', 'memory-gib', ['9'.repeat(20)], false],
  ['Exists', 'constructor', undefined, false],
  ['DoesNotExist', '__proto__', undefined, true],
  ['In', 'toString', ['x'], false]
]

await t.test('constraints match as node affinity does', async (t) => {
  for (const [operator, key, values, holds] of cases) {
    const constraint = values === undefined ? { key, operator } : { key, operator, values }
    t.equal(compileConstraint(constraint)(labels), holds, `${key} ${operator} ${values?.join(',') ?? ''}`)
  }
})

const anyLabels = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('x', 'y', '1', '5', '-7'))
const anyKey = fc.constantFrom('a', 'b', 'c', 'd')

await t.test('each operator is the opposite of its twin where the label is set', async () => {
  fc.assert(
    fc.property(anyLabels, anyKey, fc.array(fc.constantFrom('x', 'y', '1')), (labels, key, values) => {
      const holds = (operator: Constraint['operator']) => compileConstraint({ key, operator, values })(labels)
      return (
        holds('In') !== holds('NotIn') &&
        holds('Exists') !== holds('DoesNotExist') &&
        (!holds('In') || holds('Exists'))
      )
    })
  )
  fc.assert(
    fc.property(anyLabels, anyKey, fc.integer(), (labels, key, bound) => {
      const values = [String(bound)]
      const value = labels[key] === undefined || !/^-?\d+$/.test(labels[key]) ? null : Number(labels[key])
      return (
        compileConstraint({ key, operator: 'Gt', values })(labels) === (value !== null && value > bound) &&
        compileConstraint({ key, operator: 'Lt', values })(labels) === (value !== null && value < bound)
      )
    })
  )
})

await t.test('a mismatch is told with what the label is', async (t) => {
  t.equal(
    describeMismatch({ key: 'arch', operator: 'In', values: ['arm64', 's390x'] }, labels),
    'label arch must be one of arm64, s390x and is "amd64"'
  )
  t.equal(
    describeMismatch({ key: 'gpu', operator: 'Exists' }, labels),
    'label gpu must be set and is not set'
  )
  t.equal(
    describeMismatch({ key: 'memory-gib', operator: 'Gt', values: ['128'] }, labels),
    'label memory-gib must be an integer above 128 and is "64"'
  )
})

await t.test('operators and values that do not go together are told with a pointer', async (t) => {
  const messages = (operator: Constraint['operator'], values?: string[]) =>
    validateConstraint(values === undefined ? { key: 'a', operator } : { key: 'a', operator, values })
  const integer = 'exactly one value, an integer within ±(2^53 - 1)'
  for (const [operator, values, message] of [
    ['In', undefined, 'In needs at least one value'],
    ['NotIn', [], 'NotIn needs at least one value'],
    ['Exists', ['x'], 'Exists takes no values'],
    ['DoesNotExist', ['x'], 'DoesNotExist takes no values'],
    ['Gt', undefined, `Gt needs ${integer}`],
    ['Lt', ['1.5'], `Lt needs ${integer}`],
    ['Gt', ['1', '2'], `Gt needs ${integer}`]
  ] as const) {
    t.same(messages(operator, values && [...values]), [{ pointer: '/values', message }])
  }
  for (const [operator, values] of [
    ['In', ['x']],
    ['NotIn', ['x']],
    ['Exists', undefined],
    ['DoesNotExist', []],
    ['Lt', ['-12']],
    ['Gt', ['3']]
  ] as const) {
    t.same(messages(operator, values && [...values]), [])
  }
})

await t.test('a constraint that fails validation for Gt, Lt or In never holds', async () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...constraintOperators),
      fc.array(fc.string({ maxLength: 3 }), { maxLength: 3 }),
      anyLabels,
      (operator, values, labels) => {
        const invalid = validateConstraint({ key: 'a', operator, values }).length > 0
        return (
          !(invalid && ['In', 'Gt', 'Lt'].includes(operator)) ||
          !compileConstraint({ key: 'a', operator, values })(labels)
        )
      }
    )
  )
})
