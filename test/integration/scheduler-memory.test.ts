import t, { type Test } from 'tap'
import { createContext } from '../../plugins/scheduler/context.ts'
import { refreshConstraints, toQueueEntry, toRunningJob } from '../../plugins/scheduler/placing.ts'
import { createExplain } from '../../plugins/scheduler/explain.ts'
import { createPreempt } from '../../plugins/scheduler/preempt.ts'
import { recover } from '../../plugins/scheduler/recover.ts'
import { asAdmin } from '../build.ts'
import { createFakeClock } from '../fake-clock.ts'
import { jobOf, openPolicyApp } from '../fixtures/policy-app.ts'

/**
 * A job that runs and one that waits for its slot, in the storage of an app; `newContext` makes the memory of a
 * scheduler beside that app's own, as it is at a start or in the moment between a look and its commit.
 */
async function open(t: Test, slots = 1) {
  const { app, fake, file, submit } = await openPolicyApp(t, 'policies: []\n', {
    config: { capacity: { slots, cpu: 4, memory: '1Gi', reserve: { cpu: 0, memory: 0 } } }
  })
  const started = new Promise<void>((resolve) => {
    const stop = app.storage.onAppended(() => {
      if (fake.running.size === 0) return
      stop()
      resolve()
    })
  })
  const victim = jobOf(await submit(asAdmin, { preemptible: true }))
  await started
  const waiting = jobOf(await submit(asAdmin))
  const find = async (id: string) => (await app.storage.jobs.find(id))!
  const newContext = (clock = app.clock) => {
    const { storage, runtimes, capacity, secrets, policies, webhooks, log, node } = app
    const parts = { storage, clock, runtimes, capacity, secrets, policies, webhooks, log, node }
    return createContext({ ...parts, logCapBytes: 1_000, idempotencyKeptMs: 1_000 })
  }
  return { app, file, find, newContext, victim: await find(victim.id), waiting: await find(waiting.id) }
}

await t.test('nobody is ended for a job that a look has taken meanwhile', async (t) => {
  const { app, find, newContext, victim, waiting } = await open(t)
  const context = newContext()
  context.live.set(victim.id, {
    jobId: victim.id,
    number: 1,
    name: '',
    tenant: victim.tenant,
    runtime: null,
    intent: null,
    handed: true,
    isDoubtful: false,
    deadline: null,
    startedAt: null,
    isSilent: true,
    trace: null
  })
  const ended: string[] = []
  const preempt = createPreempt(context, async (id) => void ended.push(id))
  const entry = toQueueEntry(context, waiting, [])
  const victims = [toRunningJob(victim, app.clock.now())]
  await preempt(entry, victims)
  t.same([ended, (await find(victim.id)).intent], [[], null], 'its row still says queued')

  context.queue.add(entry)
  await preempt(entry, victims)
  t.same(ended, [victim.id])
  t.match(await find(victim.id), { intent: { preemptedFor: waiting.id } })
  t.same([...context.queue.pinned().keys()], [waiting.id])

  const next = newContext()
  await recover(
    next,
    async () => {},
    async () => {}
  )
  t.same([...next.queue.pinned().keys()], [waiting.id], 'a start keeps the room for it')
})

await t.test('a new policy file takes no room from the job that others were ended for', async (t) => {
  const { app, file, newContext, waiting } = await open(t)
  const context = newContext()
  context.queue.add(toQueueEntry(context, waiting, []))
  context.queue.pin(waiting.id)
  file.replace('policies:\n  - { name: pool, tenants: ["*"], allow: { nodes: { pool: [lab] } } }\n')
  await app.policies.reload()
  refreshConstraints(context)
  t.match([...context.queue.pinned().values()], [{ id: waiting.id, constraints: [{ policy: 'pool' }] }])
})

await t.test('in a long queue a place that is not known is not made up', async (t) => {
  const { newContext, waiting } = await open(t, 2)
  // The queue is counted anew only so often: time stands still.
  const context = newContext(createFakeClock())
  const explain = createExplain(context)
  const add = (id: string) => {
    const entry = { ...toQueueEntry(context, waiting, []), id }
    context.queue.add(entry)
    return entry
  }
  for (let i = 1000; i < 1150; i++) add(`a${i}`)
  t.match(explain.why(context.queue.get('a1100')!), {
    position: 100,
    reason: 'queue',
    needs: [{ needed: 100 }]
  })
  const late = add('b')
  t.match(explain.why(late), { position: null, message: 'Its turn has not come', needs: [] })
  context.queue.remove('b')

  const first = { ...late, id: 'c', priority: 100 }
  t.equal(explain.whyIfAdded(first, true), null, 'it would be the first, and start')
  t.match(explain.whyIfAdded({ ...late, id: 'd' }, true), {
    position: 150,
    message: '150 jobs stand before it'
  })
})
