import t from 'tap'
import { runCli } from '../start-cli.ts'
import { startServiceFor } from '../start-service.ts'

const service = await startServiceFor(t)
const { dataDir } = service
const roost = (...args: string[]) => runCli(args, { dataDir })
const json = async (name: string, ...args: string[]): Promise<unknown> =>
  JSON.parse((await roost(name, '--json', ...args)).stdout)

await t.test('jobs are listed, shown, run again and cancelled', async (t) => {
  t.match(await roost('run', '--name', 'shown', '--label', 'a=b', '--', 'sh', '-c', 'exit 3'), { code: 3 })
  t.match(await roost('ps', '-a', '--label', 'a=b'), {
    code: 0,
    stdout: /^ID[^\n]*\n[0-9a-z]{26} +shown +failed [^\n]*exit 3[^\n]*\n$/
  })
  t.match(await roost('ps', '--label', 'a=b', '-q'), { code: 0, stdout: '' })
  t.match(await roost('ps', '--state', 'done'), { code: 64, stderr: /--state must be one of/ })
  t.match(await json('ps', '-a', '--name', 'shown'), {
    items: [{ name: 'shown', state: 'failed' }],
    cursor: null
  })
  t.match(await roost('get', 'shown'), { code: 0, stdout: /^state +failed \(exit-nonzero\)$/m })
  t.match(await json('get', 'shown'), { name: 'shown', result: { exitCode: 3 } })
  t.match(await roost('get', 'nobody'), { code: 1, stderr: /No job has the id or name "nobody"/ })
  t.match(await roost('get', '0'.repeat(26)), { code: 1, stderr: /No such job/ })
  t.equal((await roost('rerun', '--follow', 'shown')).code, 3)
  t.match(await roost('cancel', 'shown'), { code: 1, stderr: /finished/ })
  t.match(await roost('cancel'), { code: 64 })
  t.match(await roost('cancel', '--label', 'a=none'), { code: 0, stdout: '', stderr: /^No job matches/ })

  const id = (await roost('run', '-d', '--name', 'resting', '--', 'sleep', '600')).stdout.trim()
  t.match(await roost('pods', '--job', id), { code: 0, stdout: new RegExp(`roost-${id}-1 +process`) })
  t.match(await roost('wait', '--timeout', '0.1', id), { code: 124 })
  t.match(await roost('evict', 'resting', '--reason', 'room is needed'), {
    code: 0,
    stdout: /back into the queue/
  })
  t.match(await roost('evict', `roost-${'0'.repeat(26)}-1`), { code: 1, stderr: /No workload is named/ })
  t.match(await roost('evict', 'nobody'), { code: 1, stderr: /No job and no workload is named "nobody"/ })
  t.match(await roost('evict', 'shown'), { code: 1, stderr: /finished/ }, 'a name is that of a job')
  t.match(await roost('cancel', '--purge', id), { code: 1, stderr: /cancel it first/ })
  t.equal((await roost('cancel', id)).code, 0)
  t.equal((await roost('wait', id)).code, 130)
  t.match(await roost('cancel', '--purge', '--grace', '1s', id), { code: 64, stderr: /--grace/ })
  t.match(await roost('cancel', '--purge', id), { code: 0, stdout: `${id} is removed\n` })
  t.match(await roost('get', id), { code: 1, stderr: /No such job/ })
  t.match(await roost('cancel', '--purge', '--json', '--label', 'a=b'), {
    code: 0,
    stdout: /^(\{"id":"[0-9a-z]{26}","purged":true\}\n){2}$/
  })
  t.equal((await roost('ps', '-aq', '--label', 'a=b')).stdout, '')
})

await t.test('a job waits for another by its name, and the queue names it', async (t) => {
  t.equal((await roost('run', '-d', '--name', 'earlier', '--', 'sleep', '60')).code, 0)
  const later = await json('run', '-d', '--name', 'later', '--depends-on', 'earlier', '--', 'true')
  t.match(later, { state: 'queued', spec: { dependsOn: [/^[0-9a-z]{26}$/] } })
  t.match((await roost('queue')).stdout, /^POSITION +JOB +NAME[^]* later +default [^]*dependencies/)
  t.match(await roost('plan', '--depends-on', 'earlier', '--', 'true'), {
    code: 1,
    stdout: /would wait \(dependencies\)/
  })
  t.equal((await roost('cancel', 'later')).code, 0)
  t.equal((await roost('cancel', 'earlier')).code, 0)
})

await t.test('a plan is drawn, and stores nothing', async (t) => {
  const before = (await roost('ps', '-aq')).stdout
  t.match(await roost('plan', '--', 'true'), { code: 0, stdout: /NODE +RUNTIME +SCORE[^]*→ \S+ +process/ })
  t.match(await roost('plan', '--gpu', '9', '--', 'true'), {
    code: 1,
    stdout: /LEFT OUT[^]*insufficient-gpu +never[^]*would be refused \(unplaceable\): No node in sight/
  })
  t.match(await json('plan', '--', 'true'), { choice: String, candidates: [{ runtime: 'process' }] })
  t.equal((await roost('ps', '-aq')).stdout, before)
})

await t.test('nodes are listed, drained and undrained', async (t) => {
  t.match(await roost('nodes'), { code: 0, stdout: /ready +linux/ })
  t.match(await json('drain'), { state: /^drain/ })
  t.match(await roost('run', '--', 'true'), { code: 69, stderr: /draining[^]*undrain/ })
  t.match(await roost('doctor'), { code: 1, stdout: /^fail +ready: scheduler/m })
  t.match(await roost('undrain'), { code: 0, stdout: /is ready/ })
  t.match(await roost('drain', 'nobody'), { code: 1, stderr: /No node is named nobody/ })
  t.match(await roost('queue'), { code: 0, stdout: /^POSITION/ })
})

await t.test('a secret reaches its job and nothing else', async (t) => {
  t.match(await runCli(['secret', 'set', 'api-key'], { dataDir, input: 'very secret\n' }), {
    code: 0,
    stdout: 'api-key is set\n'
  })
  t.match(await roost('run', '--secret', 'KEY=api-key', '--', 'sh', '-c', 'echo "<$KEY>"'), {
    code: 0,
    stdout: '<very secret>\n'
  })
  const list = await roost('secret', 'list')
  t.match(list.stdout, /^api-key /m)
  t.notMatch(list.stdout, /very secret/)
  t.match(await roost('secret', 'rm', 'api-key'), { code: 0 })
  t.match(await roost('secret', 'rm', 'api-key'), { code: 1, stderr: /No stored secret/ })
  t.match(await runCli(['secret', 'set', 'empty'], { dataDir, input: '\n' }), { code: 64, stderr: /empty/ })
})
