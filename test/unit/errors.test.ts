import { readFileSync } from 'node:fs'
import t from 'tap'
import { catalogue, RoostError, type ErrorCode } from '../../src/errors.ts'
import { toProblem, toRoostError } from '../../src/problem.ts'

await t.test('docs/api.md lists exactly the codes of the catalogue, with their status', async (t) => {
  const page = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8')
  const section = page.slice(page.indexOf('## Error codes'), page.indexOf('## Environment'))
  const listed = [...section.matchAll(/^\| `([a-z-]+)` \| (\d{3}) \|/gm)].map((match) => [
    match[1],
    Number(match[2])
  ])
  t.same(
    listed,
    Object.entries(catalogue).map(([code, [status]]) => [code, status])
  )
})

await t.test('every code makes a problem with its status and the page that explains it', async (t) => {
  for (const code of Object.keys(catalogue) as ErrorCode[]) {
    const problem = toProblem(new RoostError(code, 'what happened'), '/here', 'id')
    t.match(problem, {
      code,
      status: catalogue[code][0],
      type: `/docs/errors#${code}`,
      instance: '/here',
      requestId: 'id'
    })
  }
})

await t.test('an error that is none of ours says nothing of itself to the client', async (t) => {
  const hidden = toRoostError(new Error('SELECT secret FROM passwords'))
  t.equal(hidden.code, 'internal')
  t.equal(JSON.stringify(toProblem(hidden)).includes('passwords'), false)
})
