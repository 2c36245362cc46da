import type { AuditRecord, Transaction } from '../../src/contracts/storage.ts'
import { type StorageCases, insert, isCode, jobOf, logFrame, record, rejects } from './storage-samples.ts'

export const writeCases: StorageCases = {
  'readers see a work only once it is committed': async (t, storage) => {
    const job = jobOf()
    await storage.write(async (tx) => {
      await tx.jobs.insert(job)
      await tx.events.append(job.id, [logFrame('x')])
      t.equal((await tx.jobs.find(job.id))?.lastSeq, 1, 'the work sees its own')
      t.equal(await storage.jobs.find(job.id), null)
      t.equal(await storage.events.lastSeq(job.id), null)
      await tx.settings.set('a', '1')
      t.equal(await storage.settings.get('a'), null)
    })
    t.equal((await storage.jobs.find(job.id))?.lastSeq, 1)
    t.equal(await storage.settings.get('a'), '1')
  },

  'a work that throws fails alone, with its own error, and leaves nothing': async (t, storage) => {
    const grown = new Map<string, number>()
    storage.onAppended((more) => {
      for (const [id, seq] of more) grown.set(id, seq)
    })
    const jobs = Array.from({ length: 40 }, () => jobOf())
    const isBad = (i: number) => i % 10 === 3
    const outcomes = await Promise.allSettled(
      jobs.map((job, i) =>
        storage.write(async (tx) => {
          await tx.jobs.insert(job)
          await tx.events.append(job.id, [logFrame('x')])
          await tx.audit.append(record({ subject: job.id }))
          if (isBad(i)) throw new Error(`bad ${i}`)
          return i
        })
      )
    )
    for (const [i, outcome] of outcomes.entries()) {
      t.equal(
        outcome.status === 'fulfilled' ? outcome.value : outcome.reason.message,
        isBad(i) ? `bad ${i}` : i
      )
      t.equal((await storage.jobs.find(jobs[i]!.id)) === null, isBad(i))
      t.equal(grown.has(jobs[i]!.id), !isBad(i))
    }
    const { items } = await storage.audit.list({ limit: 100 })
    const subjects = items.flatMap(({ detail, subject }) =>
      Array.isArray(detail.records) ? detail.records.map((r: AuditRecord) => r.subject) : [subject]
    )
    t.strictSame(
      subjects.sort(),
      jobs
        .filter((_, i) => !isBad(i))
        .map(({ id }) => id)
        .sort()
    )
  },

  'a transaction ends with its work, and a lost await fails it': async (t, storage) => {
    let kept: Transaction | undefined
    await storage.write(async (tx) => {
      kept = tx
    })
    t.throws(() => kept?.settings.set('a', '1'), /has ended: set/)
    const job = jobOf()
    const [bad, good] = await Promise.allSettled([
      storage.write(async (tx) => {
        await tx.jobs.insert(job)
        void tx.jobs.update({ ...job, node: 'n' })
      }),
      storage.write((tx) => tx.settings.set('b', '2'))
    ])
    t.match(bad, { status: 'rejected', reason: /await every call/ })
    t.equal(good?.status, 'fulfilled')
    t.equal(await storage.jobs.find(job.id), null)
  },

  'appends are told after the commit, until the listener leaves': async (t, storage) => {
    const job = jobOf()
    await insert(storage, job)
    const told: [number | undefined, Promise<number | null>][] = []
    const leave = storage.onAppended((grown) =>
      told.push([grown.get(job.id), storage.events.lastSeq(job.id)])
    )
    await Promise.all([1, 2].map(() => storage.write((tx) => tx.events.append(job.id, [logFrame('x')]))))
    await storage.write((tx) => tx.settings.set('a', '1'))
    await storage
      .write(async (tx) => {
        await tx.events.append(job.id, [logFrame('x')])
        throw new Error('no')
      })
      .catch(() => {})
    t.equal(told.at(-1)?.[0], 2)
    for (const [seq, read] of told) t.equal(await read, seq, 'what was told can be read')
    leave()
    const before = told.length
    await storage.write((tx) => tx.events.append(job.id, [logFrame('x')]))
    t.equal(told.length, before)
  },

  'close lets the works finish and refuses the next': async (t, storage) => {
    const job = jobOf()
    const last = insert(storage, job)
    const closing = storage.close()
    await last
    await rejects(
      t,
      storage.write(async () => 1),
      isCode('storage-unavailable'),
      'after close'
    )
    await closing
    await storage.close()
  },

  'a healthy storage says so': async (t, storage) => {
    const status = await storage.status()
    t.match(status, { dialect: storage.dialect, writable: true, message: null })
    t.ok(status.schemaVersion >= 1)
  }
}
