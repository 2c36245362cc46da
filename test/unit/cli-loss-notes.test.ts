import t from 'tap'
import { createLossNotes } from '../../src/cli/loss-notes.ts'

await t.test('a loss is told once, not for each try, and its end once', async (t) => {
  const said: string[] = []
  const loss = createLossNotes((text) => said.push(text))
  loss.back()
  for (let tries = 0; tries < 3; tries++) loss.lost('refused')
  t.ok(loss.isAway)
  loss.back()
  loss.back()
  loss.lost('refused')
  t.match(said, [
    /^lost the service; trying again .*\(refused\)$/,
    /^the service is back$/,
    /^lost the service/
  ])
})

await t.test('of several that wait, the service is back when it is for all of them', async (t) => {
  const said: string[] = []
  const loss = createLossNotes((text) => said.push(text))
  loss.lost('refused', 'a')
  loss.lost('refused', 'b')
  loss.back('a')
  t.equal(said.length, 1)
  loss.back('b')
  t.equal(said.length, 2)
})
