import t from 'tap'
import { ApiError, exitOfJob } from '../../src/cli/exit.ts'
import { toApiError } from '../../src/cli/session.ts'
import type { Job } from '../../src/cli/session.ts'

const attempt = {
  number: 1,
  state: 'failed' as const,
  node: 'n',
  runtime: 'process',
  pod: null,
  exitCode: null,
  signal: null,
  reason: null,
  startedAt: null,
  finishedAt: null
}
const code = (
  state: Job['state'],
  reason: string | null,
  exitCode: number | null,
  signal: string | null = null
) =>
  exitOfJob({
    state,
    reason,
    result: exitCode === null ? null : { exitCode, output: null },
    attempts: [{ ...attempt, exitCode, signal }]
  })

await t.test("the command ends with the job's own exit code", async (t) => {
  t.equal(code('succeeded', null, 0), 0)
  t.equal(code('failed', 'exit-nonzero', 3), 3)
  t.equal(code('failed', 'signalled', null, 'SIGKILL'), 137)
  t.equal(code('failed', 'signalled', null, 'SIGTERM'), 143)
  t.equal(code('failed', 'signalled', null, 'SIGRTMIN+3'), 1)
  t.equal(code('cancelled', 'cancelled', null, 'SIGTERM'), 130)
  t.equal(code('failed', 'timeout', null, 'SIGTERM'), 124)
  t.equal(code('failed', 'exit-status-lost', null), 1)
  t.equal(code('failed', 'start-failed', null), 1)
})

await t.test('a job that failed never ends with 0, whatever its program said', async (t) => {
  t.equal(code('failed', 'stopped', 0), 1)
  t.equal(code('failed', 'timeout', 0), 124)
})

await t.test('a refusal has the exit code of its kind', async (t) => {
  const exitOf = (status: number) => new ApiError({ type: '', title: 'x', status, code: 'x' }).exitCode
  t.same([400, 401, 403, 404, 409, 422, 429, 503].map(exitOf), [64, 77, 77, 1, 1, 64, 69, 69])
})

await t.test('an answer of something else is told as such', async (t) => {
  t.match(toApiError(502, '<html>', null), {
    message: /Is there a Roost at that URL\? It answered 502: <html>/
  })
  t.match(toApiError(429, { type: '', title: 't', status: 429, code: 'rate-limited' }, '3'), {
    retryAfterMs: 3000,
    remedy: 'Try again in 3s.'
  })
})
