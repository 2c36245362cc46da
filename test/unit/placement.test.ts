import { Ajv } from 'ajv'
import fc from 'fast-check'
import t from 'tap'
import {
  choose,
  explain,
  isUnplaceable,
  place,
  type PlacementJob,
  type PlacementNode
} from '../../src/domain/placement/index.ts'
import { nodeStates } from '../../src/schemas/node.ts'
import { sharedSchemas } from '../../src/schemas/index.ts'
import { Placement } from '../../src/schemas/placement.ts'

const GiB = 2 ** 30

function job(changes: Partial<PlacementJob> = {}): PlacementJob {
  return {
    id: 'job',
    taskType: 'process',
    resources: { cpu: 1, memoryBytes: GiB, gpu: 0 },
    constraints: [],
    locality: 'any',
    node: null,
    ...changes
  }
}

function node(id: string, changes: Partial<PlacementNode> = {}): PlacementNode {
  const allocatable = { cpu: 4, memoryBytes: 8 * GiB, gpu: 0, slots: 16 }
  return {
    id,
    name: `name-of-${id}`,
    local: false,
    state: 'ready',
    labels: {},
    taskTypes: new Map([['process', 'process']]),
    latencyMs: 1,
    recentFailures: 0,
    allocatable,
    free: changes.allocatable ?? allocatable,
    ...changes
  }
}

const amounts = fc.record({ cpu: fc.nat(8), memoryBytes: fc.nat(8).map((n) => n * GiB), gpu: fc.nat(2) })
const anyJob: fc.Arbitrary<PlacementJob> = fc.record({
  id: fc.constant('job'),
  taskType: fc.constantFrom('process', 'container'),
  resources: amounts,
  constraints: fc.array(
    fc.record({
      key: fc.constantFrom('arch', 'zone'),
      operator: fc.constantFrom('In', 'NotIn', 'Exists'),
      values: fc.constant(['a'])
    }),
    { maxLength: 2 }
  ),
  locality: fc.constantFrom('local-only', 'prefer-local', 'any'),
  node: fc.option(fc.constantFrom('0', 'name-of-1'), { freq: 5 }),
  failedOn: fc.subarray(['0', '1', '2']),
  wants: fc.subarray(['image:x', 'model:y'])
})
const anyNode = fc
  .record({
    local: fc.boolean(),
    state: fc.constantFrom('ready', 'ready', 'ready', ...nodeStates),
    labels: fc.dictionary(fc.constantFrom('arch', 'zone'), fc.constantFrom('a', 'b')),
    taskTypes: fc
      .subarray(['process', 'container'] as const)
      .map((types) => new Map(types.map((type) => [type, `${type}-runtime`]))),
    latencyMs: fc.nat(100),
    recentFailures: fc.nat(3),
    holds: fc.subarray(['image:x', 'model:y']).map((held) => new Set(held)),
    allocatable: fc.tuple(amounts, fc.nat(3)).map(([needs, slots]) => ({ ...needs, slots })),
    taken: fc.tuple(amounts, fc.nat(3)).map(([needs, slots]) => ({ ...needs, slots }))
  })
  .map(({ taken, ...rest }) => {
    const { allocatable: all } = rest
    const left = (whole: number, used: number) => Math.max(0, whole - used)
    const free = {
      cpu: left(all.cpu, taken.cpu),
      memoryBytes: left(all.memoryBytes, taken.memoryBytes),
      gpu: left(all.gpu, taken.gpu),
      slots: left(all.slots, taken.slots)
    }
    return { ...rest, free }
  })
const anyNodes = fc
  .array(anyNode, { maxLength: 12 })
  .map((nodes) => nodes.map((one, index) => node(String(index), one)))
const anyOptions = fc.record({
  seed: fc.integer(),
  strategy: fc.constantFrom('bin-packing' as const, 'spread' as const)
})
const anyCase = fc.tuple(anyJob, anyNodes, anyOptions)

const reasonsOf = (one: PlacementJob, where: PlacementNode) =>
  explain(one, [where], { seed: 1 }).filtered[0]?.reasons ?? []

await t.test('every reason has its code, its numbers and says whether waiting helps', async (t) => {
  const small = { cpu: 2, memoryBytes: 2 * GiB, gpu: 1, slots: 2 }
  const free = { cpu: 1.5, memoryBytes: 1.5 * GiB, gpu: 0, slots: 0 }
  const busy = node('n', {
    allocatable: small,
    free,
    taskTypes: new Map([
      ['process', 'process'],
      ['llm', 'llm']
    ])
  })
  t.same(reasonsOf(job({ resources: { cpu: 2, memoryBytes: 2 * GiB, gpu: 1 } }), busy), [
    { code: 'no-slot', message: 'needs 1 slot, 0 of 2 are free', permanent: false },
    { code: 'insufficient-cpu', message: 'needs 2 cores, 1.5 of 2 are free', permanent: false },
    { code: 'insufficient-memory', message: 'needs 2Gi of memory, 1.5Gi of 2Gi are free', permanent: false },
    { code: 'insufficient-gpu', message: 'needs 1 GPU, 0 of 1 are free', permanent: false }
  ])
  t.same(
    reasonsOf(
      job({ resources: { cpu: 4, memoryBytes: 3 * GiB, gpu: 2 } }),
      node('n', { allocatable: { ...small, slots: 0 }, free })
    ),
    [
      { code: 'no-slot', message: 'needs 1 slot, 0 of 0 are free', permanent: true },
      { code: 'insufficient-cpu', message: 'needs 4 cores, 1.5 of 2 are free', permanent: true },
      { code: 'insufficient-memory', message: 'needs 3Gi of memory, 1.5Gi of 2Gi are free', permanent: true },
      { code: 'insufficient-gpu', message: 'needs 2 GPUs, 0 of 1 are free', permanent: true }
    ]
  )
  t.match(reasonsOf(job(), node('n', { free: { ...free, cpu: 0, slots: 1 } })), [
    { message: 'needs 1 core, 0 of 4 are free' }
  ])
  t.same(
    reasonsOf(
      job({
        taskType: 'container',
        locality: 'local-only',
        node: 'other',
        constraints: [
          { key: 'arch', operator: 'In', values: ['arm64'] },
          { key: 'ssd', operator: 'Exists' }
        ]
      }),
      node('n', { labels: { arch: 'amd64' } })
    ),
    [
      { code: 'locality', message: 'the job is local-only and this is another node', permanent: true },
      { code: 'node', message: 'the job asks for node other', permanent: true },
      {
        code: 'no-runtime',
        message: 'nothing there runs container tasks (it runs process)',
        permanent: true
      },
      { code: 'constraint', message: 'label arch must be one of arm64 and is "amd64"', permanent: true },
      { code: 'constraint', message: 'label ssd must be set and is not set', permanent: true }
    ]
  )
  t.match(reasonsOf(job(), node('n', { taskTypes: new Map() })), [
    { message: 'nothing there runs process tasks (it runs none)' }
  ])
})

await t.test('only a ready node takes work', async (t) => {
  t.same(
    nodeStates.map((state) => [
      state,
      reasonsOf(job(), node('n', { state })).map(({ code, permanent }) => [code, permanent])
    ]),
    [
      ['ready', []],
      ['draining', [['draining', false]]],
      ['drained', [['draining', false]]],
      ['unknown', [['node-unknown', false]]],
      ['left', [['node-left', true]]]
    ]
  )
})

await t.test('a node may be asked for by id or by name', async (t) => {
  const nodes = [node('a'), node('b')]
  t.equal(choose(job({ node: 'b' }), nodes, { seed: 1 })?.node, 'b')
  t.equal(choose(job({ node: 'name-of-a' }), nodes, { seed: 1 })?.node, 'a')
})

await t.test('a sum of fractions that is a hair short still holds the job', async (t) => {
  const free = { cpu: 0.7 - 0.4, memoryBytes: GiB, gpu: 0, slots: 1 }
  t.ok(free.cpu < 0.3)
  t.equal(
    choose(job({ resources: { cpu: 0.3, memoryBytes: 0, gpu: 0 } }), [node('n', { free })], { seed: 1 })
      ?.node,
    'n'
  )
})

await t.test('what makes a node better', async (t) => {
  const half = { cpu: 2, memoryBytes: 4 * GiB, gpu: 0, slots: 16 }
  const better: [string, Partial<PlacementJob>, PlacementNode, PlacementNode][] = [
    [
      'local, where that is preferred',
      { locality: 'prefer-local', failedOn: ['a'] },
      node('a', { local: true, recentFailures: 9 }),
      node('b')
    ],
    ['fuller', {}, node('a', { free: half }), node('b')],
    ['nearer', {}, node('a'), node('b', { latencyMs: 80 })],
    ['fewer failures lately', {}, node('a'), node('b', { recentFailures: 2 })],
    [
      'no GPU that would be kept from others',
      {},
      node('a'),
      node('b', { allocatable: { cpu: 4, memoryBytes: 8 * GiB, gpu: 1, slots: 16 } })
    ],
    [
      'holds the image',
      { wants: ['image:x'] },
      node('a', { holds: new Set(['image:x']) }),
      node('b', { holds: new Set() })
    ],
    [
      'the job did not fail there',
      { failedOn: ['b'] },
      node('a', { latencyMs: 500 }),
      node('b', { free: half })
    ],
    [
      'fewer GPUs stay idle',
      { resources: { cpu: 0, memoryBytes: 0, gpu: 1 } },
      node('a', { allocatable: { ...half, gpu: 1 } }),
      node('b', { allocatable: { ...half, gpu: 4 } })
    ]
  ]
  for (const [why, changes, winner, loser] of better) {
    const { candidates } = explain(job(changes), [loser, winner], { seed: 3 })
    t.equal(candidates[0]?.node, 'a', why)
    t.ok(candidates[0]!.score > candidates[1]!.score, `${why}: by score, not by chance`)
  }
  t.equal(
    choose(job(), [node('a', { free: half }), node('b')], { seed: 1, strategy: 'spread' })?.node,
    'b',
    'spread takes the emptier one'
  )
})

await t.test('a seed decides between equals, whatever their order, and seeds differ', async (t) => {
  const nodes = Array.from({ length: 10 }, (_, i) => node(`node-${i}`))
  const wins = new Map<string, number>()
  for (let seed = 0; seed < 2000; seed++) {
    const winner = choose(job(), nodes, { seed })!.node
    wins.set(winner, (wins.get(winner) ?? 0) + 1)
  }
  t.equal(wins.size, 10)
  t.ok(
    [...wins.values()].every((count) => count > 120 && count < 280),
    `fair enough: ${[...wins.values()].join(' ')}`
  )
})

await t.test('no node, no choice', async (t) => {
  t.equal(choose(job(), [], { seed: 1 }), null)
  t.same(place(job(), [], { seed: 1, strategy: 'spread' }), {
    choice: null,
    placement: { choice: null, candidates: [], filtered: [] }
  })
})

await t.test('two ids with the same hash are told apart by the id', async (t) => {
  const twins = [node('liquid'), node('costarring')] // A known pair of equal FNV-1a hashes, which seed 0 leaves as they are.
  t.equal(choose(job(), twins, { seed: 0 })?.node, 'costarring')
  t.equal(choose(job(), twins.toReversed(), { seed: 0 })?.node, 'costarring')
  for (const nodes of [twins, twins.toReversed()])
    t.equal(place(job(), nodes, { seed: 0 }).choice?.node, 'costarring')
})

await t.test('the fast path, the explanation and the decision agree, in any order of nodes', async () => {
  fc.assert(
    fc.property(
      anyCase,
      fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
      ([job, nodes, options], random) => {
        const explained = explain(job, nodes, options)
        const choice = choose(job, nodes, options)
        const shuffled = nodes
          .map((one) => [random.next().value, one] as const)
          .sort((a, b) => a[0] - b[0])
          .map(([, one]) => one)
        const again = choose(job, shuffled, options)
        const decision = place(job, nodes, options)
        const first = explained.candidates[0]
        return (
          explained.choice === (choice?.node ?? null) &&
          again?.node === choice?.node &&
          again?.score === choice?.score &&
          decision.placement.choice === explained.choice &&
          decision.choice?.node === choice?.node &&
          decision.choice?.score === choice?.score &&
          decision.choice?.runtime === choice?.runtime &&
          first?.score === choice?.score &&
          first?.runtime === choice?.runtime
        )
      }
    ),
    { numRuns: 1000 }
  )
})

await t.test('every node is a candidate that can hold the job or is filtered with a reason', async () => {
  fc.assert(
    fc.property(anyCase, ([job, nodes, options]) => {
      const { candidates, filtered } = explain(job, nodes, options)
      const holds = (one: PlacementNode) =>
        one.state === 'ready' &&
        one.free.slots >= 1 &&
        one.free.cpu >= job.resources.cpu &&
        one.free.memoryBytes >= job.resources.memoryBytes &&
        one.free.gpu >= job.resources.gpu &&
        one.taskTypes.has(job.taskType) &&
        (job.locality !== 'local-only' || one.local) &&
        (job.node === null || job.node === one.id || job.node === one.name) &&
        job.constraints.every(({ key, operator }) =>
          operator === 'Exists'
            ? key in one.labels
            : operator === 'In'
              ? one.labels[key] === 'a'
              : one.labels[key] !== 'a'
        )
      return (
        candidates.length + filtered.length === nodes.length &&
        nodes.every((one) => candidates.some(({ node }) => node === one.id) === holds(one)) &&
        filtered.every(({ reasons }) => reasons.length > 0) &&
        candidates.every((one, index) => index === 0 || candidates[index - 1]!.score >= one.score)
      )
    }),
    { numRuns: 1000 }
  )
})

await t.test(
  'prefer-local takes the local node whenever it can take the job, and scores add up',
  async () => {
    fc.assert(
      fc.property(anyCase, ([job, nodes, options]) => {
        const { candidates } = explain(job, nodes, options)
        const local = (id: string) => nodes.find((one) => one.id === id)!.local
        return (
          (job.locality !== 'prefer-local' ||
            !candidates.some(({ node }) => local(node)) ||
            local(candidates[0]!.node)) &&
          candidates.every(
            ({ score, scores }) =>
              Math.abs(Object.values(scores).reduce((sum, one) => sum + one, 0) - score) < 1e-5
          )
        )
      }),
      { numRuns: 1000 }
    )
  }
)

await t.test(
  'a permanent reason stays when the node is empty; without one an empty ready node takes the job',
  async () => {
    fc.assert(
      fc.property(anyJob, anyNodes, (job, nodes) =>
        nodes.every((one) => {
          const before = reasonsOf(job, one)
          const after = reasonsOf(job, {
            ...one,
            free: one.allocatable,
            state: one.state === 'left' ? 'left' : 'ready'
          })
          return (
            before.some((reason) => reason.permanent) === after.length > 0 &&
            after.every((reason) => reason.permanent)
          )
        })
      ),
      { numRuns: 1000 }
    )
  }
)

await t.test('unplaceable is what no node in sight could ever hold', async (t) => {
  const huge = job({ resources: { cpu: 64, memoryBytes: 0, gpu: 0 } })
  const full = { cpu: 0, memoryBytes: 0, gpu: 0, slots: 0 }
  const verdict = (one: PlacementJob, nodes: PlacementNode[]) =>
    isUnplaceable(explain(one, nodes, { seed: 1 }))
  t.equal(verdict(job(), []), true, 'no nodes at all')
  t.equal(verdict(huge, [node('a'), node('b')]), true)
  t.equal(verdict(job(), [node('a', { free: full })]), false, 'busy is no error')
  t.equal(
    verdict(huge, [
      node('a'),
      node('b', { allocatable: { cpu: 64, memoryBytes: 0, gpu: 0, slots: 1 }, free: full, state: 'draining' })
    ]),
    false
  )
  t.equal(verdict(job(), [node('a')]), false)
})

await t.test('an explanation fits its schema', async (t) => {
  const validate = new Ajv({ strict: false, formats: { 'date-time': true } })
    .addSchema(sharedSchemas)
    .compile(Placement)
  fc.assert(fc.property(anyCase, ([job, nodes, options]) => validate(explain(job, nodes, options))))
  t.ok(validate(explain(job(), [], { seed: 1 })), 'empty too')
})
