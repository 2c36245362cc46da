import fc from 'fast-check'
import t, { type Test } from 'tap'
import { openSqliteStorage } from '../../plugins/storage/sqlite/open.ts'
import { createOutbox, type Tried } from '../../plugins/webhooks/outbox.ts'
import type { Storage, WebhookDelivery } from '../../src/contracts/storage.ts'
import { mostAttempts, retryDelayMs, retryDelaysSeconds } from '../../src/domain/webhook.ts'
import { createFakeClock } from '../fake-clock.ts'

const ok: Tried = { status: 204, error: null, retryAfterMs: null }
const down: Tried = { status: null, error: 'down', retryAfterMs: null }

const deliveryOf = (id: string, change: Partial<WebhookDelivery> = {}): WebhookDelivery => ({
  id,
  jobId: 'j',
  tenant: 'default',
  submittedBy: 'local',
  submittedByName: 'local',
  url: 'https://hook.example/',
  host: 'hook.example',
  secret: null,
  type: 'job.succeeded',
  body: '{}',
  state: 'pending',
  attempts: 0,
  nextAt: 0,
  lastAt: null,
  lastStatus: null,
  lastError: null,
  createdAt: 0,
  endedAt: null,
  ...change
})

async function open(t: Test, deliver: (delivery: WebhookDelivery) => Promise<Tried>) {
  const storage = await openSqliteStorage({ dataDir: t.testdir() })
  const clock = createFakeClock()
  const tried: string[] = []
  const outbox = createOutbox({
    storage,
    clock,
    holder: 'node-1',
    deliver,
    log: { warn: (facts, message) => t.fail(`${message} ${JSON.stringify(facts)}`) },
    random: () => 0,
    onTried: (outcome) => tried.push(outcome)
  })
  t.teardown(async () => {
    await outbox.stop(0)
    await storage.close()
  })
  const find = async (id: string) =>
    (await storage.webhooks.listByJob('j')).find((delivery) => delivery.id === id)!
  return { storage, clock, outbox, tried, find }
}

const insert = (storage: Storage, ...deliveries: WebhookDelivery[]) =>
  storage.write(async (tx) => {
    for (const delivery of deliveries) await tx.webhooks.insert(delivery)
  })

/** Looks again each turn: what is waited for happens in this process. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise<void>((resolve) => setImmediate(resolve))
}

await t.test(
  'a call that fails is made again at the stated times, and given up after the last',
  async (t) => {
    const at: number[] = []
    const { storage, clock, outbox, tried, find } = await open(t, async () => {
      at.push(clock.now())
      return down
    })
    const began = clock.now()
    await insert(storage, deliveryOf('m', { nextAt: began }))
    outbox.wake()
    await until(() => tried.length === 1)
    t.match(await find('m'), { state: 'pending', attempts: 1, nextAt: began + 5_000, lastError: 'down' })
    for (let n = 2; n <= mostAttempts; n++) {
      // Asleep until the time has come; then once.
      await until(async () => (await find('m')).attempts === n - 1)
      await new Promise<void>((resolve) => setImmediate(resolve))
      clock.advance(retryDelaysSeconds[n - 2]! * 1000 - 1)
      t.equal(tried.length, n - 1)
      clock.advance(1)
      await until(() => tried.length === n)
    }
    t.same(
      at.slice(1).map((time, i) => (time - at[i]!) / 1000),
      [...retryDelaysSeconds]
    )
    t.match(await find('m'), { state: 'failed', attempts: mostAttempts, nextAt: null, endedAt: clock.now() })
    clock.advance(30 * 86_400_000)
    t.equal(tried.length, mostAttempts)
    t.same(tried.at(-1), 'failed')
  }
)

await t.test('410 ends it, Retry-After is honoured, a success is noted', async (t) => {
  const answers: Record<string, Tried> = {
    gone: { status: 410, error: 'gone', retryAfterMs: null },
    busy: { status: 503, error: 'busy', retryAfterMs: 90_000 },
    greedy: { status: 429, error: 'busy', retryAfterMs: 1e12 },
    good: ok
  }
  const { storage, clock, outbox, tried, find } = await open(t, async ({ id }) => answers[id]!)
  const now = clock.now()
  await insert(storage, ...Object.keys(answers).map((id) => deliveryOf(id, { nextAt: now })))
  outbox.wake()
  await until(() => tried.length === 4)
  t.match(await find('gone'), { state: 'failed', attempts: 1, lastStatus: 410, nextAt: null, endedAt: now })
  t.match(await find('busy'), { state: 'pending', nextAt: now + 90_000 })
  t.match(await find('greedy'), { state: 'pending', nextAt: now + 86_400_000 }, 'a day at most')
  t.match(await find('good'), { state: 'delivered', lastStatus: 204, lastError: null, endedAt: now })
  t.same(await storage.webhooks.countUndelivered(), { pending: 2, failed: 1 })
})

await t.test('a receiver that does not answer holds up nobody else', async (t) => {
  const held: (() => void)[] = []
  const done: string[] = []
  const { storage, clock, outbox, tried } = await open(t, async ({ id, host }) => {
    if (host === 'dead.example') await new Promise<void>((resolve) => held.push(resolve))
    done.push(id)
    return ok
  })
  const now = clock.now()
  const dead = Array.from({ length: 500 }, (_, i) =>
    deliveryOf(`dead-${i}`, { host: 'dead.example', nextAt: now - 1000 })
  )
  await insert(storage, ...dead, deliveryOf('live', { nextAt: now }))
  outbox.wake()
  await until(() => done.includes('live'))
  t.same(done, ['live'])
  t.equal(held.length, 4, 'at most so many calls to one host at a time')
  let most = 0
  await until(() => {
    most = Math.max(most, held.length)
    for (const release of held.splice(0)) release()
    return tried.length === 501
  })
  t.same([new Set(done).size, done.length, most], [501, 501, 4])
})

await t.test('a tenant whose receivers all hang holds up no other tenant', async (t) => {
  const held: (() => void)[] = []
  const done: string[] = []
  const { storage, clock, outbox, tried } = await open(t, async ({ id, tenant }) => {
    if (tenant !== 'c') await new Promise<void>((resolve) => held.push(resolve))
    done.push(id)
    return ok
  })
  const now = clock.now()
  const hung = ['a', 'b'].flatMap((tenant, late) =>
    Array.from({ length: 200 }, (_, i) =>
      deliveryOf(`${tenant}-${i}`, { tenant, host: `${i % 50}.example`, nextAt: now - 1000 + late })
    )
  )
  await insert(storage, ...hung)
  outbox.wake()
  await until(() => held.length === 48)
  await insert(storage, deliveryOf('live', { tenant: 'c', nextAt: now }))
  outbox.wake()
  await until(() => done.includes('live'))
  t.equal(held.length, 48, '32 of the first, then 16 of the second; 16 stay free')
  let most = 0
  await until(() => {
    most = Math.max(most, held.length)
    for (const release of held.splice(0)) release()
    return tried.length === 401
  })
  t.same([new Set(done).size, most <= 64], [401, true])
})

await t.test(
  'what a killed service had begun is made again at the next start, and by nobody twice at once',
  async (t) => {
    const calls: string[] = []
    const { storage, clock, outbox, tried } = await open(t, async ({ id }) => {
      calls.push(id)
      return ok
    })
    const now = clock.now()
    await insert(storage, deliveryOf('mine', { nextAt: now }), deliveryOf('theirs', { nextAt: now }))
    // As a node leaves it that is killed between the call and its note; and as another node works.
    await storage.write(async (tx) => {
      t.same(await tx.webhooks.claim(['mine'], 'node-1', now, now + 60_000), ['mine'])
      t.same(await tx.webhooks.claim(['theirs', 'mine'], 'node-2', now, now + 60_000), ['theirs'])
    })
    await outbox.start()
    await until(() => tried.length === 1)
    t.same(calls, ['mine'])
    clock.advance(60_000)
    await until(() => tried.length === 2)
    t.same(calls, ['mine', 'theirs'], 'its claim is over')
    const change = {
      state: 'failed',
      attempts: 1,
      nextAt: null,
      lastAt: 0,
      lastStatus: null,
      lastError: null,
      endedAt: 0
    } as const
    t.equal(await storage.write((tx) => tx.webhooks.settle('theirs', 'node-2', change)), false, 'a late note')
    t.equal(await storage.write((tx) => tx.webhooks.prune(clock.now() + 1)), 2)
  }
)

await t.test(
  'the pause before the n-th try lies between the stated one and a fifth more, and ends',
  async () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (n, random) => {
          const delay = retryDelayMs(n, null, random)
          const stated = retryDelaysSeconds[n - 1]
          if (stated === undefined) return delay === null
          return delay !== null && delay >= stated * 1000 && delay <= stated * 1200
        }
      )
    )
  }
)
