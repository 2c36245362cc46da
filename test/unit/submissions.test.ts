import fc from 'fast-check'
import t from 'tap'
import { createSubmissions, windowMs } from '../../plugins/scheduler/submissions.ts'

await t.test('a sliding window counts what a list of all times would', async (t) => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({ after: fc.nat(30_000), undo: fc.boolean(), limit: fc.integer({ min: 1, max: 5 }) }),
        {
          maxLength: 60
        }
      ),
      (steps) => {
        const submissions = createSubmissions()
        let all: number[] = []
        let now = 1_000_000
        for (const { after, undo, limit } of steps) {
          now += after
          submissions.add('k', now)
          all.push(now)
          if (undo) {
            submissions.undo('k')
            all.pop()
          }
          all = all.filter((at) => at > now - windowMs)
          if (submissions.count('k', now) !== all.length) return false
          const wait = submissions.msUntilBelow('k', limit, now)
          const left = (at: number) => all.filter((time) => time > at - windowMs).length
          if (left(now + wait) >= limit || (wait > 0 && left(now + wait - 1) < limit)) return false
        }
        return submissions.count('k', now + windowMs) === 0
      }
    )
  )
  t.pass('held')
})

await t.test('keys are apart, and an empty window is no window', async (t) => {
  const submissions = createSubmissions()
  submissions.add('a', 0)
  t.equal(submissions.count('b', 0), 0)
  t.equal(submissions.msUntilBelow('a', 0, 0), windowMs, 'none may be submitted at all')
  submissions.undo('b')
  t.equal(submissions.count('a', windowMs - 1), 1)
  t.equal(submissions.count('a', windowMs), 0)
})
