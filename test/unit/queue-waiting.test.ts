import fc from 'fast-check'
import t from 'tap'
import { nothing } from '../../src/domain/queue/amounts.ts'
import { createHeap } from '../../src/domain/queue/heap.ts'
import { compareTenants, effectivePriority } from '../../src/domain/queue/order.ts'
import { createRunning } from '../../src/domain/queue/running.ts'
import { createSortedList } from '../../src/domain/queue/sorted-list.ts'
import { turns } from '../../src/domain/queue/turns.ts'
import { createWaiting, type WaitingJob } from '../../src/domain/queue/waiting.ts'

const msPerPoint = 10

const entry = (id: string, more: Partial<WaitingJob> = {}): WaitingJob => ({
  id,
  tenant: 'default',
  token: 'local',
  tokenName: 'local',
  priority: 50,
  createdAt: 0,
  since: 0,
  needs: { ...nothing, slots: 1 },
  longestMs: 1000,
  taskType: 'process',
  resources: { cpu: 0, memoryBytes: 0, gpu: 0 },
  constraints: [],
  locality: 'prefer-local',
  node: null,
  notBefore: null,
  waitingFor: new Set(),
  preemptedBy: [],
  ...more
})

function order(waiting: ReturnType<typeof createWaiting>, running = createRunning()): string[] {
  const total = { millicores: 1000, memoryBytes: 1000, gpu: 10, slots: 10 }
  return [...turns({ waiting, running, total, weight: () => 1, now: 0 })].map(({ id }) => id)
}

await t.test('a sorted list is what sorting would give, whatever is added and removed', (t) => {
  const operations = fc.array(fc.record({ value: fc.nat(3_000), add: fc.integer({ min: 0, max: 2 }) }), {
    maxLength: 3_000,
    size: 'max'
  })
  fc.assert(
    fc.property(operations, (operations) => {
      const list = createSortedList<number>((a, b) => a - b)
      const model = new Set<number>()
      for (const { value, add } of operations) {
        if (add > 0 && !model.has(value)) {
          model.add(value)
          list.add(value)
        } else if (add === 0 && list.delete(value) !== model.delete(value)) return false
      }
      const sorted = [...model].sort((a, b) => a - b)
      return (
        list.size === sorted.length &&
        list.first() === sorted[0] &&
        JSON.stringify([...list]) === JSON.stringify(sorted)
      )
    }),
    { numRuns: 60 }
  )
  t.end()
})

await t.test('a heap has the least at its top, also after the top has grown', (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat(50)), fc.array(fc.tuple(fc.boolean(), fc.nat(20))), (values, steps) => {
      const model = values.map((value) => ({ value }))
      // Half of them are there at once, half come one by one.
      const heap = createHeap(model.slice(values.length / 2), (a, b) => a.value - b.value)
      for (const item of model.slice(0, values.length / 2)) heap.add(item)
      for (const [remove, grow] of steps) {
        const top = heap.top()
        if (top?.value !== (model.length === 0 ? undefined : Math.min(...model.map(({ value }) => value))))
          return false
        if (top === undefined) break
        if (remove) {
          heap.removeTop()
          model.splice(model.indexOf(top), 1)
        } else {
          top.value += grow
          heap.sinkTop()
        }
      }
      return true
    })
  )
  t.end()
})

await t.test('within a tenant jobs come by priority and age, whatever was added and removed before', (t) => {
  const operation = fc.record({
    id: fc.integer({ min: 0, max: 40 }),
    priority: fc.integer({ min: 0, max: 100 }),
    createdAt: fc.nat(2_000),
    needs: fc.integer({ min: 0, max: 3 }),
    token: fc.constantFrom('x', 'y'),
    add: fc.boolean()
  })
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 120 }), (operations) => {
      const waiting = createWaiting(msPerPoint)
      const model = new Map<string, WaitingJob>()
      for (const { id, add, needs, ...more } of operations) {
        const name = String(id).padStart(3, '0')
        const job = entry(name, { ...more, needs: { ...nothing, slots: 1, millicores: needs } })
        if (!add) {
          model.delete(name)
          waiting.remove(name)
        } else if (!model.has(name)) {
          model.set(name, job)
          waiting.add(job)
        }
      }
      const points = (job: WaitingJob) => effectivePriority(job, 5_000, msPerPoint)
      const sorted = [...model.values()].sort((a, b) => points(b) - points(a) || (a.id < b.id ? -1 : 1))
      t.same(
        order(waiting),
        sorted.map(({ id }) => id)
      )
      t.same(
        sorted.map((job) => waiting.isFirstOfTenant(job)),
        sorted.map((_, i) => i === 0)
      )
      t.equal(waiting.size, model.size)
      t.equal(
        waiting.oldestCreatedAt(),
        [...model.values()].sort((a, b) => (a.id < b.id ? -1 : 1))[0]?.createdAt ?? null
      )
      const shapes = new Set([...model.values()].map(({ needs }) => needs.millicores))
      t.equal(waiting.shapes().size, shapes.size, 'nothing is left of what is gone')
      if (model.size === 0) t.equal(waiting.tenants().size, 0)
    })
  )
  t.end()
})

await t.test('backoff and dependencies stand aside until they are over', (t) => {
  const waiting = createWaiting(msPerPoint)
  waiting.add(entry('a', { notBefore: 100 }))
  waiting.add(entry('b', { waitingFor: new Set(['x', 'y']), notBefore: 50 }))
  waiting.add(entry('c'))
  const ready = () =>
    [...waiting.tenants().values()].flatMap(({ heads }) => [...heads].flatMap(({ jobs }) => [...jobs]))
  const ids = () => ready().map(({ id }) => id)
  waiting.release(99)
  t.same(waiting.asideCounts(), { dependencies: 1, backoff: 1 })
  t.same(ids(), ['c'])
  t.same(order(waiting), ['c', 'a', 'b'], 'they stand last')
  t.equal(waiting.nextDue(), 100)
  waiting.release(100)
  t.same(ids(), ['a', 'c'])
  t.equal(waiting.nextDue(), null)
  t.equal(waiting.resolve('b', 'x'), false)
  t.equal(waiting.resolve('b', 'y'), true)
  t.equal(waiting.nextDue(), 50, 'its backoff still counts')
  waiting.release(100)
  t.same(ids(), ['a', 'b', 'c'])
  t.same(waiting.asideCounts(), { dependencies: 0, backoff: 0 })
  for (const id of ['a', 'b', 'c']) waiting.remove(id)
  t.same([waiting.size, waiting.hasReady], [0, false])
  t.end()
})

await t.test('a pinned job comes before everybody, and after that to its old place', (t) => {
  const waiting = createWaiting(msPerPoint)
  for (const id of ['a', 'b', 'c']) waiting.add(entry(id))
  waiting.pin('b')
  t.same(order(waiting), ['b', 'a', 'c'])
  waiting.unpin('b')
  t.same(order(waiting), ['a', 'b', 'c'])
  waiting.pin('c')
  waiting.remove('c')
  t.same(order(waiting), ['a', 'b'])
  t.end()
})

await t.test('between tenants turns go to the least share, as if each job started', (t) => {
  const waiting = createWaiting(msPerPoint)
  const running = createRunning()
  const needs = { millicores: 200, memoryBytes: 0, gpu: 0, slots: 1 }
  for (const id of ['a1', 'a2', 'a3']) waiting.add(entry(id, { tenant: 'a', needs, since: 1 }))
  for (const id of ['b1', 'b2']) waiting.add(entry(id, { tenant: 'b', needs, since: 2 }))
  t.same(order(waiting), ['a1', 'b1', 'a2', 'b2', 'a3'], 'equals take turns, who waits longer first')
  running.put({
    id: 'a0',
    tenant: 'a',
    token: 'local',
    tokenName: 'local',
    needs: { ...needs, millicores: 300 },
    priority: 50,
    preemptible: false,
    labels: {},
    preemptions: 0,
    startedAt: 0,
    endsBy: 1,
    isEnding: false,
    preemptedFor: null
  })
  t.same(order(waiting, running), ['b1', 'b2', 'a1', 'a2', 'a3'])
  running.remove('a0')
  t.same(order(waiting, running), ['a1', 'b1', 'a2', 'b2', 'a3'])
  t.end()
})

await t.test('the front of a queue of many shapes costs the front, not the shapes', (t) => {
  const waiting = createWaiting(msPerPoint)
  for (let i = 1_000; i < 3_000; i++)
    waiting.add(entry(String(i), { createdAt: i, needs: { ...nothing, slots: 1, millicores: i } }))
  let opened = 0
  for (const { jobs } of waiting.tenants().get('default')!.lines.values()) {
    const all = [...jobs]
    jobs[Symbol.iterator] = function* () {
      opened++
      yield* all
    }
  }
  const front: string[] = []
  const total = { millicores: 1000, memoryBytes: 1000, gpu: 10, slots: 10 }
  for (const { id } of turns({ waiting, running: createRunning(), total, weight: () => 1, now: 0 }))
    if (front.push(id) === 3) break
  t.same(front, ['1000', '1001', '1002'])
  t.equal(opened, 3)
  t.end()
})

await t.test('an overdue tenant goes before one with a smaller share', (t) => {
  const compare = compareTenants(10_000, msPerPoint)
  const greedy = { name: 'greedy', share: 0.9, unservedSince: 9_000 }
  const modest = { name: 'modest', share: 0.1, unservedSince: 9_001 }
  t.equal(compare(greedy, modest) < 0, true)
  t.equal(compare({ ...greedy, unservedSince: 9_001 }, modest) < 0, false)
  t.end()
})
