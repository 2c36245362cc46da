import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
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
  file.write('policies:\n  - {name: a, tenants: [a], user: root}\n')
  t.match(await check(), { code: 64, stderr: /user: root runs no tenant's jobs/ })
  file.write('policies:\n  - {name: a, tenants: [a], user: no-such-account}\n')
  t.match(await check(), { code: 0, stderr: /no-such-account is no account of this machine/ })
  t.match(await startCli(['policy', 'check', join(t.testdirName, 'none.yaml')]).ended, {
    code: 64,
    stderr: /none\.yaml cannot be read/
  })
  t.match(await startCli(['policy', 'chek', 'x']).ended, { code: 64, stderr: /takes check FILE/ })
})

await t.test('a quota that is used up says when to come back; ps names the tenants of several', async (t) => {
  const dataDir = t.testdir({
    'roost.json': JSON.stringify({
      plugins: [fileURLToPath(new URL('../fixtures/plugin-example/index.ts', import.meta.url))]
    })
  })
  const file = policyFile(
    dataDir,
    'policies:\n  - {name: few, tenants: [b], quota: {submissionsPerMinute: 1}}\n'
  )
  const service = await startServiceFor(t, {
    dataDir,
    env: { ROOST_POLICIES: file.path },
    flags: ['--config', join(dataDir, 'roost.json')]
  })
  const made = await startCli(
    ['token', 'create', '--name', 'b', '--tenant', 'b', '--scope', 'write:jobs', '--scope', 'read:jobs'],
    { dataDir }
  ).ended
  const env = { ROOST_URL: service.url, ROOST_TOKEN: made.stdout.trim() }
  const task = { type: 'example/script', script: '1' }
  const submit = async (token: string) =>
    await fetch(`${service.url}/schedule`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ task })
    })
  t.equal((await submit(env.ROOST_TOKEN)).status, 202)
  const job = (await (await submit(service.token)).json()) as { id: string }
  t.match((await startCli(['ps', '-a'], { env }).ended).stdout, /^ID +NAME +STATE/)
  t.match((await startCli(['ps', '-a'], { dataDir }).ended).stdout, /^ID +NAME +TENANT[^]* default [^]* b /)
  t.ok(job.id)
  const own = (await (
    await fetch(`${service.url}/v1/jobs`, { headers: { authorization: `Bearer ${env.ROOST_TOKEN}` } })
  ).json()) as { items: [{ id: string }] }
  t.match(await startCli(['rerun', own.items[0].id], { env }).ended, {
    code: 69,
    stderr: /may submit 1 job a minute[^]*Try again in \d+[sm]/
  })
})

await t.test('policy explain tells each check; 1 where the job would be refused', async (t) => {
  const dataDir = t.testdir()
  const file = policyFile(
    dataDir,
    'policies:\n  - {name: lab, tenants: [default, lab], job: {cpu: 2, memory: 2Gi}, quota: {queued: 5}}\n'
  )
  await startServiceFor(t, { dataDir, env: { ROOST_POLICIES: file.path } })
  const job = join(dataDir, 'job.json')
  const explain = async (cpu: number, ...flags: string[]) => {
    writeFileSync(job, JSON.stringify({ task: { type: 'process', command: ['true'] }, resources: { cpu } }))
    return await startCli(['policy', 'explain', job, ...flags], { dataDir }).ended
  }
  t.match(await explain(1), {
    code: 0,
    stdout:
      /lab +job\.cpu +allowed +1 +2[^]*lab +job\.memory +allowed +64 MiB +2 GiB[^]*would be accepted now \(policies: lab\)/
  })
  t.match(await explain(3), {
    code: 1,
    stdout:
      /lab +job\.cpu +refused +3 +2 +policy "lab": a job may ask for 2 cores at most[^]*would be refused now/
  })
  const refused = await startCli(['run', '--cpu', '3', '--', 'true'], { dataDir }).ended
  t.equal(refused.stderr.split('a job may ask for 2 cores').length, 2, 'said once')
  const json = await explain(3, '--json')
  t.equal(json.code, 1)
  const explained = JSON.parse(json.stdout) as PolicyExplanation
  t.match(explained, { tenant: 'default', token: 'local', allowed: false, spec: { timeoutSeconds: 3600 } })
  t.same(
    explained.checks.map(({ rule, verdict }) => `${rule} ${verdict}`),
    ['job.cpu refused', 'job.memory allowed', 'quota.queued allowed']
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
