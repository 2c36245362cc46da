import type {
  Agent,
  AuditRecord,
  TokenFilter,
  WebhookDelivery,
  WebhooksApart
} from '../../src/contracts/storage.ts'
import { UniqueViolation } from '../../src/errors.ts'
import { type StorageCases, at, insert, isCode, jobOf, record, rejects, spec } from './storage-samples.ts'

export const otherCases: StorageCases = {
  agents: async (t, storage) => {
    const agent: Agent = {
      id: 'a1',
      name: 'gpu-box',
      kind: 'node',
      local: true,
      state: 'ready',
      facts: { labels: { arch: 'amd64' } },
      seenAt: at
    }
    await storage.write(async (tx) => {
      await tx.agents.upsert(agent)
      await tx.agents.upsert({ ...agent, id: 'a2', name: 'all', kind: 'worker', local: false })
    })
    t.strictSame(await storage.agents.find('a1'), agent)
    await storage.write((tx) => tx.agents.upsert({ ...agent, state: 'draining', seenAt: at + 1 }))
    t.strictSame(
      (await storage.agents.list()).map(({ id, state }) => [id, state]),
      [
        ['a2', 'ready'],
        ['a1', 'draining']
      ]
    )
    await storage.write((tx) => tx.agents.remove('a1'))
    t.equal(await storage.agents.find('a1'), null)
  },

  'the audit is one chain, an entry a commit, and shows a tenant its own records': async (t, storage) => {
    await storage.write((tx) =>
      tx.audit.append(
        record({ subject: 'one', requestId: 'r1', detail: { z: 1, a: [undefined, { c: 1, b: 2 }] } })
      )
    )
    await storage.write(async (tx) => {
      await tx.audit.append(record({ tenant: 'a', subject: 'two' }))
      await tx.audit.append(record({ tenant: 'b', subject: 'three', action: 'job.cancel', at: at + 5 }))
    })
    await storage.write((tx) => tx.audit.append(record({ tenant: 'b', subject: 'four' })))
    const { items, cursor } = await storage.audit.list({ limit: 10 })
    t.equal(cursor, null)
    t.strictSame(
      items.map(({ seq, tenant, subject }) => [seq, tenant, subject]),
      [
        [3, 'b', 'four'],
        [2, '*', '*'],
        [1, 'default', 'one']
      ]
    )
    t.match(items[1], {
      at: at + 5,
      action: '*',
      actor: 'local',
      previousHash: items[2]?.hash,
      detail: { records: [{ subject: 'two' }, { subject: 'three' }] }
    })
    const ofB = await storage.audit.list({ tenant: 'b', limit: 1 })
    t.equal(ofB.items[0]?.subject, 'four')
    const next = await storage.audit.list({ tenant: 'b', limit: 1, cursor: ofB.cursor! })
    t.strictSame(
      [next.cursor, (next.items[0]!.detail.records as AuditRecord[]).map(({ subject }) => subject)],
      [null, ['three']]
    )
    t.equal((await storage.audit.list({ action: 'job.cancel', limit: 5 })).items.length, 1)
    t.match(await storage.audit.verify(), { entries: 3, fault: null, anchor: null })
    await rejects(t, storage.audit.list({ limit: 1, cursor: 'x' }), isCode('invalid'), 'a cursor of nobody')
  },

  'idempotency keys': async (t, storage) => {
    const key = {
      tenant: 'default',
      key: 'k',
      bodyHash: 'h',
      jobId: 'j',
      response: '{"id":"j"}',
      createdAt: at
    }
    await storage.write((tx) => tx.idempotency.insert(key))
    t.strictSame(await storage.idempotency.find('default', 'k'), key)
    t.equal(await storage.idempotency.find('b', 'k'), null)
    await rejects(
      t,
      storage.write((tx) => tx.idempotency.insert(key)),
      (error) => error instanceof UniqueViolation,
      'taken'
    )
    await storage.write(async (tx) => {
      await tx.idempotency.insert({ ...key, tenant: 'b', createdAt: at + 1 })
      t.strictSame((await tx.idempotency.find('b', 'k'))?.createdAt, at + 1)
      t.equal(await tx.idempotency.prune(at + 1), 1)
    })
    t.equal(await storage.idempotency.find('default', 'k'), null)
  },

  tokens: async (t, storage) => {
    const token = {
      id: 't1',
      name: 'ci',
      tenant: 'default',
      scopes: ['read:jobs', 'admin'] as const,
      hash: 'f00',
      createdAt: at,
      expiresAt: null,
      revokedAt: null,
      lastUsedAt: null
    }
    const stored = { ...token, scopes: [...token.scopes] }
    await storage.write((tx) => tx.tokens.insert(stored))
    await rejects(
      t,
      storage.write((tx) => tx.tokens.insert({ ...stored, id: 't2' })),
      (error) => error instanceof UniqueViolation,
      'the same hash'
    )
    t.strictSame(await storage.tokens.findByHash('f00'), stored)
    t.equal(await storage.tokens.findByHash('f01'), null)
    t.equal(await storage.write((tx) => tx.tokens.revoke('t1', at + 1)), true)
    t.equal(await storage.write((tx) => tx.tokens.revoke('t1', at + 2)), false, 'only once')
    const revoked = { ...stored, revokedAt: at + 1 }
    t.strictSame(await storage.tokens.find('t1'), revoked)
    t.equal(await storage.tokens.find('t0'), null)

    const expiring = { ...stored, id: 't2', hash: 'f02', tenant: 'b', expiresAt: at + 10 }
    const lasting = { ...stored, id: 't3', hash: 'f03' }
    await storage.write(async (tx) => {
      await tx.tokens.insert(expiring)
      await tx.tokens.insert(lasting)
      await tx.tokens.touch('t3', at + 5)
    })
    const idsOf = async (filter: Partial<TokenFilter>) =>
      (await storage.tokens.list({ now: at + 9, limit: 10, ...filter })).items.map(({ id }) => id)
    t.strictSame(await idsOf({}), ['t3', 't2', 't1'], 'newest first')
    t.strictSame(await idsOf({ active: true }), ['t3', 't2'])
    t.strictSame(await idsOf({ active: true, now: at + 10 }), ['t3'], 'until it expires')
    t.strictSame(await idsOf({ active: false, now: at + 10 }), ['t2', 't1'])
    t.strictSame(await idsOf({ tenant: 'b' }), ['t2'])
    const page = await storage.tokens.list({ now: at, limit: 2 })
    t.strictSame(page.items[0], { ...lasting, lastUsedAt: at + 5 })
    t.equal(page.cursor, 't2')
    t.strictSame(await storage.tokens.list({ now: at, limit: 2, cursor: page.cursor! }), {
      items: [revoked],
      cursor: null
    })
  },

  'a lease has one holder, and its token grows with each new one': async (t, storage) => {
    const claim = (holder: string, now: number) =>
      storage.write((tx) => tx.leases.claim('leader', holder, now, 100))
    t.equal(await storage.leases.find('leader'), null)
    t.strictSame(await claim('a', at), { name: 'leader', holder: 'a', token: 1, expiresAt: at + 100 })
    t.equal(await claim('b', at + 99), null)
    t.strictSame(await claim('a', at + 50), { name: 'leader', holder: 'a', token: 1, expiresAt: at + 150 })
    t.strictSame(await claim('b', at + 150), { name: 'leader', holder: 'b', token: 2, expiresAt: at + 250 })
    t.equal(await storage.write((tx) => tx.leases.release('leader', 'a')), false)
    t.equal(await storage.write((tx) => tx.leases.release('leader', 'b')), true)
    t.equal(await storage.leases.find('leader'), null)
    t.equal((await claim('b', at + 160))?.token, 3)
    t.equal((await storage.leases.find('leader'))?.holder, 'b')
  },

  secrets: async (t, storage) => {
    const secret = { tenant: 'default', name: 'KEY', sealed: 'AAAA', updatedAt: at }
    await storage.write((tx) => tx.secrets.put(secret))
    await storage.write((tx) => tx.secrets.put({ ...secret, sealed: 'BBBB', updatedAt: at + 1 }))
    t.strictSame(await storage.secrets.find('default', 'KEY'), {
      ...secret,
      sealed: 'BBBB',
      updatedAt: at + 1
    })
    t.equal(await storage.secrets.find('b', 'KEY'), null)
    t.strictSame(await storage.secrets.list('default'), [
      { tenant: 'default', name: 'KEY', updatedAt: at + 1 }
    ])
    t.equal(await storage.write((tx) => tx.secrets.remove('default', 'KEY')), true)
    t.equal(await storage.write((tx) => tx.secrets.remove('default', 'KEY')), false)
  },

  'webhooks are due, claimed by one, noted by that one alone, and counted': async (t, storage) => {
    const delivery: WebhookDelivery = {
      id: 'msg_1',
      jobId: 'j1',
      tenant: 'default',
      submittedBy: 'tok_1',
      submittedByName: 'ci-1',
      url: 'https://hook.example/x',
      host: 'hook.example',
      secret: null,
      type: 'job.failed',
      body: '{"type":"job.failed"}',
      state: 'pending',
      attempts: 0,
      nextAt: at,
      lastAt: null,
      lastStatus: null,
      lastError: null,
      createdAt: at,
      endedAt: null
    }
    const all = { hosts: [], tenants: [] }
    t.equal(await storage.webhooks.nextDue(all), null)
    await storage.write(async (tx) => {
      await tx.webhooks.insert(delivery)
      await tx.webhooks.insert({ ...delivery, id: 'msg_2', host: 'other.example', nextAt: at + 10 })
    })
    t.strictSame(await storage.webhooks.listByJob('j1'), [
      delivery,
      { ...delivery, id: 'msg_2', host: 'other.example', nextAt: at + 10 }
    ])
    const due = async (now: number, except: WebhooksApart = all) =>
      (await storage.webhooks.listDue(now, except, 10)).map(({ id }) => id)
    t.strictSame([await due(at - 1), await due(at), await due(at + 10)], [[], ['msg_1'], ['msg_1', 'msg_2']])
    const apart = { hosts: ['hook.example'], tenants: [] }
    t.strictSame(await due(at + 10, apart), ['msg_2'])
    t.strictSame(await due(at + 10, { hosts: [], tenants: [delivery.tenant] }), [])
    t.strictSame([await storage.webhooks.nextDue(all), await storage.webhooks.nextDue(apart)], [at, at + 10])
    const claim = (holder: string) =>
      storage.write((tx) => tx.webhooks.claim(['msg_1', 'msg_2'], holder, at, at + 60))
    t.strictSame([await claim('a'), await claim('b')], [['msg_1'], []])
    const note = {
      state: 'failed',
      attempts: 1,
      nextAt: null,
      lastAt: at + 1,
      lastStatus: 410,
      lastError: 'gone',
      endedAt: at + 1
    } as const
    const settle = (holder: string) => storage.write((tx) => tx.webhooks.settle('msg_1', holder, note))
    t.strictSame([await settle('b'), await settle('a'), await settle('a')], [false, true, false])
    t.match((await storage.webhooks.listByJob('j1'))[0], note)
    t.strictSame(await storage.webhooks.countUndelivered(), { pending: 1, failed: 1 })
    await storage.write(async (tx) => {
      await tx.webhooks.claim(['msg_2'], 'a', at + 10, at + 99)
      await tx.webhooks.release('b', at + 11)
      await tx.webhooks.release('a', at + 12)
    })
    t.equal(await storage.webhooks.nextDue(all), at + 12)
    t.equal(await storage.write((tx) => tx.webhooks.prune(at + 1)), 0)
    t.equal(await storage.write((tx) => tx.webhooks.prune(at + 2)), 1)
    const job = jobOf({ spec: { ...spec, webhook: { url: delivery.url } } })
    await insert(storage, job)
    await storage.write(async (tx) => {
      await tx.webhooks.insert({ ...delivery, id: 'msg_3', jobId: job.id })
      await tx.webhooks.insert({ ...delivery, id: 'msg_4', jobId: job.id, state: 'delivered', endedAt: at })
      await tx.jobs.remove(job.id)
    })
    t.strictSame(
      (await storage.webhooks.listByJob(job.id)).map(({ id }) => id),
      ['msg_3'],
      'a job that is removed leaves only what is still to be delivered'
    )
  },

  settings: async (t, storage) => {
    await storage.write(async (tx) => {
      await tx.settings.set('node', 'a')
      await tx.settings.set('node', 'b')
      t.equal(await tx.settings.get('node'), 'b')
    })
    t.equal(await storage.settings.get('node'), 'b')
    await storage.write((tx) => tx.settings.set('node', null))
    t.equal(await storage.settings.get('node'), null)
  }
}
