import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { PolicyExplanation } from '../../src/schemas/policy.ts'
import { policyFile } from '../fixtures/policy-app.ts'
import { startCli } from '../start-cli.ts'
import { startServiceFor } from '../start-service.ts'

await t.test('policy check needs no service: 0, or 64 with the line and what would be right', async (t) => {
  const file = policyFile(t.testdir(), 'policies:\n  - {name: a, tenants: ["*"]}\n')
  const check = async (...flags: string[]) => await startCli(['policy', 'check', file.path, ...flags]).ended
  t.match(await check(), { code: 0, stdout: /policies\.yaml is valid: 1 policy\n/, stderr: '' })
  file.write('policies:\n  - name: a\n    tenants: ["*"]\n    quota: {runing: 3}\n')
  const refused = await check()
  t.match(refused, {
    code: 64,
    stdout: '',
    stderr: /is not valid:\n {2}line 4: policies\.0\.quota\.runing is no known field; did you mean "running"/
  })
  const json = await check('--json')
  t.equal(json.code, 64)
  t.match(JSON.parse(json.stdout), { valid: false, problems: [/^line 4/] })
  t.match(await startCli(['policy', 'check', join(t.testdirName, 'none.yaml')]).ended, {
    code: 64,
    stderr: /none\.yaml cannot be read/
  })
  t.match(await startCli(['policy', 'chek', 'x']).ended, { code: 64, stderr: /takes check FILE/ })
})

await t.test('policy explain tells each check; 1 where the job would be refused', async (t) => {
  const dataDir = t.testdir()
  const file = policyFile(
    dataDir,
    'policies:\n  - {name: lab, tenants: [default, lab], job: {cpu: 2}, quota: {queued: 5}}\n'
  )
  await startServiceFor(t, { dataDir, env: { ROOST_POLICIES: file.path } })
  const job = join(dataDir, 'job.json')
  const explain = async (cpu: number, ...flags: string[]) => {
    writeFileSync(job, JSON.stringify({ task: { type: 'process', command: ['true'] }, resources: { cpu } }))
    return await startCli(['policy', 'explain', job, ...flags], { dataDir }).ended
  }
  t.match(await explain(1), {
    code: 0,
    stdout: /lab +job\.cpu +allowed +1 +2[^]*would be accepted now \(policies: lab\)/
  })
  t.match(await explain(3), {
    code: 1,
    stdout:
      /lab +job\.cpu +refused +3 +2 +policy "lab": a job may ask for 2 cores at most[^]*would be refused now/
  })
  const json = await explain(3, '--json')
  t.equal(json.code, 1)
  const explained = JSON.parse(json.stdout) as PolicyExplanation
  t.match(explained, { tenant: 'default', token: 'local', allowed: false, spec: { timeoutSeconds: 3600 } })
  t.same(
    explained.checks.map(({ rule, verdict }) => `${rule} ${verdict}`),
    ['job.cpu refused', 'quota.queued allowed']
  )
  t.match(await explain(1, '--tenant', 'lab'), {
    code: 1,
    stdout: /user +refused[^]*name an account for the tenant/
  })
  t.match(await startCli(['policy', 'show'], { dataDir }).ended, {
    code: 0,
    stdout: /lab +default, lab +all +job, quota/
  })
})
