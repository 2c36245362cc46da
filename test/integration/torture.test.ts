import t from 'tap'
import { torture } from '../../bench/torture-run.ts'

// The smaller sister of `npm run torture`.
await t.test('a batch of real jobs survives three kills with -9: nothing lost, nothing twice', async (t) => {
  const report = await torture({ jobs: 60, kills: 3 })
  t.same(report.faults, [])
  t.equal(report.restartMs.length, 3)
  t.ok(report.ranThroughKill > 0, 'some jobs were running at a kill')
  t.ok(report.resumes > 0, 'some streams broke and went on')
})
