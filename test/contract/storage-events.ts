import { createJob } from '../../src/domain/job-state.ts'
import { newId } from '../../src/ids.ts'
import type { FrameBody } from '../../src/schemas/frame.ts'
import { type StorageCases, at, insert, isCode, jobOf, logFrame, rejects, spec } from './storage-samples.ts'

export const eventCases: StorageCases = {
  'frames get 1, 2, 3, … and are stored as they go over the wire': async (t, storage) => {
    const { job, frames } = createJob(newId(), 'default', spec, at)
    await storage.write(async (tx) => {
      await tx.jobs.insert(job)
      t.equal(await tx.events.append(job.id, frames), 1)
      t.equal(await tx.events.append(job.id, [logFrame('a\n"'), logFrame('b')]), 3)
      t.equal(await tx.events.append(job.id, []), 3)
    })
    const stored = await storage.events.read(job.id, 1, 10, 1e6)
    t.equal(
      stored[1]?.json,
      '{"type":"log","seq":2,"time":"2027-01-15T08:00:00.000Z","attempt":1,"stream":"stdout","text":"a\\n\\""}'
    )
    t.strictSame(
      stored.map(({ seq, type }) => [seq, type]),
      [
        [1, 'status'],
        [2, 'log'],
        [3, 'log']
      ]
    )
    t.equal(await storage.events.lastSeq(job.id), 3)
    t.equal((await storage.jobs.find(job.id))?.lastSeq, 3)
    t.equal(await storage.events.lastSeq('none'), null)
    await rejects(
      t,
      storage.write((tx) => tx.events.append('none', [logFrame('x')])),
      isCode('job-not-found'),
      'a job that is not there'
    )
  },

  'read starts at from and keeps to limit and bytes, yet always moves on': async (t, storage) => {
    const job = jobOf()
    await insert(storage, job)
    await storage.write((tx) =>
      tx.events.append(
        job.id,
        Array.from({ length: 3000 }, (_, i) => logFrame('x'.repeat(i % 7 === 0 ? 3000 : 10)))
      )
    )
    const all = await storage.events.read(job.id, 1, 10_000, 1e9)
    t.strictSame(
      all.map(({ seq }) => seq),
      Array.from({ length: 3000 }, (_, i) => i + 1)
    )
    t.strictSame(
      (await storage.events.read(job.id, 2990, 5, 1e9)).map(({ seq }) => seq),
      [2990, 2991, 2992, 2993, 2994]
    )
    t.strictSame(await storage.events.read(job.id, 3001, 5, 1e9), [])
    t.strictSame(
      (await storage.events.read(job.id, 1, 100, 1)).length,
      1,
      'one frame even where it is too large'
    )
    let from = 1
    while (from <= 3000) {
      const page = await storage.events.read(job.id, from, 1000, 20_000)
      t.ok(
        page.length > 0 &&
          page[0]?.seq === from &&
          page.reduce((sum, { json }) => sum + json.length, 0) <= 20_000
      )
      from += page.length
    }
  },

  'the tail starts at the last log frames': async (t, storage) => {
    const job = jobOf()
    await insert(storage, job)
    t.equal(await storage.events.tailStart(job.id, 5), 1)
    const status: FrameBody = {
      type: 'status',
      time: new Date(at).toISOString(),
      state: 'running',
      attempt: 1,
      node: 'n',
      reason: null
    }
    await storage.write((tx) =>
      tx.events.append(job.id, [status, logFrame('1'), status, logFrame('2'), logFrame('3'), status])
    )
    t.equal(await storage.events.tailStart(job.id, 0), 7)
    t.equal(await storage.events.tailStart(job.id, 1), 5)
    t.equal(await storage.events.tailStart(job.id, 3), 2)
    t.equal(await storage.events.tailStart(job.id, 100), 2)
  },

  '200 appends at once leave no hole': async (t, storage) => {
    const jobs = [jobOf(), jobOf()]
    await insert(storage, ...jobs)
    const lasts = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        storage
          .write(async (tx) => {
            const last = await tx.events.append(
              jobs[i % 2]!.id,
              Array.from({ length: 1 + (i % 3) }, () => logFrame(`${i}`))
            )
            if (i % 50 === 49) throw new Error('this one not')
            return last
          })
          .catch(() => null)
      )
    )
    for (const [n, job] of jobs.entries()) {
      const frames = await storage.events.read(job.id, 1, 1e4, 1e9)
      t.strictSame(
        frames.map(({ seq }) => seq),
        frames.map((_, i) => i + 1)
      )
      t.ok(frames.every(({ seq, json }) => JSON.parse(json).seq === seq))
      t.equal(Math.max(...lasts.filter((last, i) => i % 2 === n && last !== null).map(Number)), frames.length)
    }
    t.equal(lasts.filter((last) => last === null).length, 4)
  }
}
