import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { PolicyStatus } from '../../src/schemas/policy.ts'
import { asAdmin, build } from '../build.ts'
import { openPolicyApp, policyFile } from '../fixtures/policy-app.ts'
import { startServiceFor } from '../start-service.ts'

const queued = (count: number) => `policies:\n  - {name: few, tenants: [a], quota: {queued: ${count}}}\n`
type App = Awaited<ReturnType<typeof build>>

/** Does `change` and resolves when the policies have changed. */
async function changed(app: App, change: () => void): Promise<void> {
  const heard = new Promise<void>((resolve) => {
    const stop = app.policies.onChange(() => {
      stop()
      resolve()
    })
  })
  // The service's own watches keep no process alive.
  const alive = setInterval(() => {}, 60_000)
  change()
  await heard
  clearInterval(alive)
}
const boundOf = (app: App) => app.policies.rulesFor('a', 'token', null).quotas[0]?.queued

await t.test(
  'a file that is written anew, in place or by a rename, is in force a moment later',
  async (t) => {
    const { app, file, tokenOf, submit } = await openPolicyApp(t, queued(0))
    const { headers } = await tokenOf('a')
    t.equal((await submit(headers)).statusCode, 429)
    await changed(app, () => file.write(queued(1)))
    t.equal((await submit(headers)).statusCode, 202)
    await changed(app, () => file.replace(queued(7)))
    t.equal(boundOf(app), 7)
    await changed(app, () => {
      rmSync(file.path)
      file.write(queued(8))
    })
    t.equal(boundOf(app), 8, 'an editor that removes the file first')
  }
)

await t.test('a symlink that is swapped, as Kubernetes does with a ConfigMap, is followed', async (t) => {
  const folder = t.testdir()
  const version = (name: string, text: string) => {
    mkdirSync(join(folder, name))
    writeFileSync(join(folder, name, 'policies.yaml'), text)
  }
  version('..v1', queued(1))
  symlinkSync('..v1', join(folder, '..data'))
  symlinkSync('..data/policies.yaml', join(folder, 'policies.yaml'))
  const app = await build(t, {
    process: 'off',
    dataDir: join(folder, 'data'),
    policiesFile: join(folder, 'policies.yaml')
  })
  await app.ready()
  t.equal(boundOf(app), 1)
  await changed(app, () => {
    version('..v2', queued(2))
    symlinkSync('..v2', join(folder, '..data_tmp'))
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
    rmSync(join(folder, '..v1'), { recursive: true })
  })
  t.equal(boundOf(app), 2)
  await changed(app, () => writeFileSync(join(folder, '..v2', 'policies.yaml'), queued(3)))
  t.equal(boundOf(app), 3, 'what is behind the link is watched too')
})

await t.test('a wrong file is refused by name while the old one stays in force', async (t) => {
  const { app, file, tokenOf } = await openPolicyApp(t, queued(4))
  const status = async () => (await app.inject({ url: '/v1/policies', headers: asAdmin })).json()
  const before = await status()
  t.match(before, { file: file.path, error: null, policies: [{ name: 'few' }], hash: /^[0-9a-f]{64}$/ })
  for (const [text, problem] of [
    [
      'policies:\n  - {name: few, tenants: [a], quota: {queud: 1}}\n',
      /^line 2: policies\.0\.quota\.queud is no known field/
    ],
    ['', /^line 1: must hold the key/],
    ['policies: [', /^line 1: /]
  ] as const) {
    file.write(text)
    await app.policies.reload()
    t.equal(boundOf(app), 4)
    t.match(await status(), { hash: before.hash, error: { problems: [problem] } })
  }
  const health = (await app.inject({ url: '/health', headers: asAdmin })).json()
  t.match(health, { status: 'degraded', reasons: [/policies\.yaml is not valid.*line 1/] })
  const { headers } = await tokenOf('a')
  t.same(
    (await app.inject({ url: '/health', headers })).json().reasons,
    ['The policy file is not valid, the policies read before stay in force'],
    'where it is and what is in it is for admins'
  )
  const told = app.logLines.map((line) => JSON.parse(line)).filter(({ problems }) => problems !== undefined)
  t.match(told[0], { level: 'error', problems: [/^line 2/], file: file.path })
  rmSync(file.path)
  await app.policies.reload()
  t.match(await status(), { error: { problems: [/is not there.*: ENOENT/] } })
  t.equal(boundOf(app), 4)
  file.write(queued(4))
  await app.policies.reload()
  t.match(await status(), { error: null, hash: before.hash })
  t.match((await app.inject({ url: '/health', headers: asAdmin })).json(), { status: 'ok' })
})

await t.test('each change is audited once, also one made while no service lived', async (t) => {
  const dataDir = t.testdir()
  const first = await openPolicyApp(t, queued(1), { dataDir })
  const entries = async ({ app }: { app: App }) =>
    (await app.storage.audit.list({ action: 'policy.load', limit: 100 })).items
  t.equal((await entries(first)).length, 1)
  first.file.write(queued(2))
  await first.app.policies.reload()
  await first.app.policies.reload()
  const [latest] = await entries(first)
  t.match(latest, { subject: first.file.path, detail: { before: /^[0-9a-f]{64}$/, after: /^[0-9a-f]{64}$/ } })
  t.equal((await entries(first)).length, 2)
  await first.app.close()
  const second = await openPolicyApp(t, queued(2), { dataDir })
  t.equal((await entries(second)).length, 2, 'a restart with the same file changes nothing')
  await second.app.close()
  const third = await openPolicyApp(t, queued(3), { dataDir })
  t.equal((await entries(third)).length, 3)
})

await t.test('jobs that wait follow the new policies', async (t) => {
  const labels = (pool: string) =>
    `policies:\n  - {name: pool, tenants: ["*"], allow: {nodes: {pool: [${pool}]}}, quota: {running: 1}}\n`
  const { app, file, submit, fake } = await openPolicyApp(t, labels('one, two'), {
    config: { node: { name: 'here', labels: { pool: 'one' } } }
  })
  await submit(asAdmin)
  const { id } = (await submit(asAdmin)).json<{ id: string }>()
  file.write(labels('two'))
  await app.policies.reload()
  const job = async () => (await app.inject({ url: `/v1/jobs/${id}`, headers: asAdmin })).json()
  for (const name of fake.running.keys()) await fake.finish(name, 0)
  t.match(await job(), {
    state: 'queued',
    reason: 'policy',
    message: /policy "pool": label pool must be one of two/
  })
  const started = new Promise<void>((resolve) => {
    const stop = app.storage.onAppended(
      () =>
        void job().then(({ state }) => {
          if (state === 'queued') return
          stop()
          resolve()
        })
    )
  })
  file.write(labels('one'))
  await app.policies.reload()
  await started
  t.match(await job(), { state: /scheduled|running/ })
})

await t.test('a wrong file at the start stops the start', async (t) => {
  const file = policyFile(t.testdir(), 'policies: 3\n')
  await t.rejects(build(t, { process: 'off', policiesFile: file.path, dataDir: t.testdirName }), {
    name: 'PolicyFileError',
    message: /policies\.yaml is not valid:\n {2}- line 1: policies must be array; got 3/
  })
})

await t.test('SIGHUP reads the file again and ends nothing', async (t) => {
  const dataDir = t.testdir()
  const file = policyFile(dataDir, queued(1))
  const service = await startServiceFor(t, { dataDir, env: { ROOST_POLICIES: file.path } })
  const headers = { authorization: `Bearer ${service.token}` }
  const bound = async () => {
    const answer = await fetch(`${service.url}/v1/policies`, { headers })
    const { policies } = (await answer.json()) as PolicyStatus
    return policies[0]?.quota?.queued
  }
  t.equal(await bound(), 1)
  file.write(queued(2))
  process.kill(service.pid, 'SIGHUP')
  // Without the handler the signal ends the service, and this fails.
  while ((await bound()) !== 2);
  t.equal(await bound(), 2)
})
