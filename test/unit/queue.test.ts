import fc from 'fast-check'
import t from 'tap'
import { createQueue, type QueueEntry } from '../../plugins/scheduler/queue.ts'

const entry = (id: string, priority = 50, more: Partial<QueueEntry> = {}): QueueEntry => ({
  id,
  tenant: 'default',
  priority,
  taskType: 'process',
  resources: { cpu: 1, memoryBytes: 1, gpu: 0 },
  constraints: [],
  locality: 'prefer-local',
  node: null,
  createdAt: 0,
  notBefore: null,
  waitingFor: new Set(),
  ...more
})

await t.test('jobs come by priority, then by age, whatever was added and removed before', (t) => {
  const operation = fc.record({
    id: fc.integer({ min: 0, max: 40 }),
    priority: fc.integer({ min: 0, max: 3 }),
    add: fc.boolean()
  })
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 120 }), (operations) => {
      const queue = createQueue()
      const model = new Map<string, number>()
      for (const { id, priority, add } of operations) {
        const name = String(id).padStart(3, '0')
        if (add && !model.has(name)) {
          model.set(name, priority)
          queue.add(entry(name, priority))
        } else if (!add) {
          model.delete(name)
          queue.remove(name)
        }
      }
      const expected = [...model].sort(([a, p], [b, q]) => q - p || (a < b ? -1 : 1)).map(([id]) => id)
      t.same(
        [...queue.ready(0)].map(({ id }) => id),
        expected
      )
      t.same(
        expected.map((id) => queue.position(id)),
        expected.map((_, i) => i)
      )
      t.equal(queue.size, expected.length)
    })
  )
  t.end()
})

await t.test('what is walked may be removed on the way', (t) => {
  const queue = createQueue()
  for (const id of ['a', 'b', 'c', 'd']) queue.add(entry(id))
  const seen: string[] = []
  for (const { id } of queue.ready(0)) {
    seen.push(id)
    if (id !== 'b') queue.remove(id)
  }
  t.same(seen, ['a', 'b', 'c', 'd'])
  t.same(
    [...queue.all()].map(({ id }) => id),
    ['b']
  )
  t.end()
})

await t.test('backoff and dependencies stand aside until they are over', (t) => {
  const queue = createQueue()
  queue.add(entry('a', 50, { notBefore: 100 }))
  queue.add(entry('b', 50, { waitingFor: new Set(['x']) }))
  queue.add(entry('c'))
  t.same(
    [...queue.ready(99)].map(({ id }) => id),
    ['c']
  )
  t.equal(queue.nextDue(99), 100)
  t.same(
    [...queue.ready(100)].map(({ id }) => id),
    ['a', 'c']
  )
  queue.get('b')!.waitingFor.delete('x')
  t.same(
    [...queue.ready(100)].map(({ id }) => id),
    ['a', 'b', 'c']
  )
  t.end()
})
