import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createClient } from '../../bench/client.ts'
import { suspend } from '../../bench/torture-run.ts'
import type { LoggedFrame } from '../../src/schemas/frame.ts'
import { startServiceFor } from '../start-service.ts'

/** The one test that waits on the real clock: standing still is its subject. The torture run does a whole minute. */
const standStillMs = 2_000

await t.test('a laptop that sleeps while jobs run loses nothing', async (t) => {
  const service = await startServiceFor(t, { env: { ROOST_PROCESS: 'on' } })
  const client = createClient(service, 4)
  t.teardown(() => client.close())
  const journal = join(service.dataDir, 'journal')
  // Each counts on with its own breath, so that the sleep falls into the middle.
  const script =
    'echo "$ROOST_JOB_ID" >>"$1"; i=1; while [ $i -le 20 ]; do echo $i; sleep 0.05; i=$((i+1)); done'
  const counted = Array.from({ length: 20 }, (_, index) => `${index + 1}\n`).join('')
  const followed = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const { id } = await client.submit({
        task: { type: 'process', command: ['sh', '-c', script, 'count', journal] },
        resources: { cpu: 0.1 }
      })
      const frames: LoggedFrame[] = []
      let resolvePrinted: () => void = () => {}
      const printed = new Promise<void>((resolve) => (resolvePrinted = resolve))
      const { closed } = client.openStream(id, 1, (frame) => {
        if (frame.type === 'heartbeat') return
        frames.push(frame)
        if (frame.type === 'log') resolvePrinted()
      })
      return { id, frames, printed, closed }
    })
  )
  await Promise.all(followed.map(({ printed }) => printed))
  const processes = service.processes()
  t.ok(
    processes.length > followed.length,
    `the service and its jobs are stopped (${processes.length} processes)`
  )
  await suspend(service, standStillMs)
  for (const { frames } of followed) t.not(frames.at(-1)?.type, 'result', 'it was in the middle of its work')

  for (const { id, frames, closed } of followed) {
    t.equal(await closed, 1000, 'the open stream went on to its end')
    t.same(
      frames.map(({ seq }) => seq),
      frames.map((_, index) => index + 1),
      'without a hole'
    )
    t.equal(frames.map((frame) => (frame.type === 'log' ? frame.text : '')).join(''), counted)
    const job = await client.job(id)
    t.match(job, { state: 'succeeded', attempts: [{ number: 1, state: 'succeeded' }] })
    t.same(await client.readEvents(id, 1), frames, 'a replay gives the same')
  }
  t.same(
    (await readFile(journal, 'utf8')).trim().split('\n').sort(),
    followed.map(({ id }) => id).sort(),
    'each started once'
  )
})
