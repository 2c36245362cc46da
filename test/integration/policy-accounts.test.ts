import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { folderFor, openProcessRuntime } from '../fixtures/process-runtime.ts'
import { jobOf, openPolicyApp, problemOf, type PolicyApp } from '../fixtures/policy-app.ts'
import { asAdmin } from '../build.ts'

const isRoot = process.getuid?.() === 0
const processTask = (script: string) => ({
  task: { type: 'process' as const, command: ['sh', '-c', script] }
})

/** Runs a script to its end and returns what it printed. */
async function run(
  { app, submit }: PolicyApp,
  headers: Record<string, string>,
  script: string
): Promise<string> {
  const { id } = jobOf(await submit(headers, processTask(script)))
  const find = async () => (await app.inject({ url: `/v1/jobs/${id}`, headers })).json<{ state: string }>()
  const alive = setInterval(() => {}, 60_000)
  await new Promise<void>((resolve) => {
    const look = () =>
      void find().then(({ state }) => {
        if (!['succeeded', 'failed', 'cancelled'].includes(state)) return
        stop()
        resolve()
      })
    const stop = app.storage.onAppended((grown) => {
      if (grown.has(id)) look()
    })
    look()
  })
  clearInterval(alive)
  return (await app.inject({ url: `/v1/jobs/${id}/logs`, headers })).body
}

await t.test(
  'process jobs of two tenants run as two accounts and cannot read one another',
  { skip: isRoot ? false : 'other accounts need root' },
  async (t) => {
    const opened = await openPolicyApp(
      t,
      `policies:
  - {name: one, tenants: [a], user: nobody}
  - {name: two, tenants: [b], user: daemon}
  - {name: super, tenants: [c], user: root}
  - {name: typo, tenants: [d], user: nobdy}
  - {name: each, tenants: ["e-*"], user: "roost-{tenant}"}
  - {name: one-more, tenants: [f], user: games}
  - {name: yet-another, tenants: [f], user: man}
`,
      { config: { process: 'on' }, dataDir: folderFor(t) }
    )
    const { tokenOf, submit } = opened
    const of = async (tenant: string) => (await tokenOf(tenant)).headers
    const [a, b] = [await of('a'), await of('b')]
    t.match(await run(opened, a, 'id -un; echo $USER; touch mine && echo made'), /^nobody\nnobody\nmade\n$/)
    t.match(await run(opened, b, 'id -un'), /^daemon\n$/)
    t.match(
      await run(opened, b, 'cat ../../roost.db ../../token'),
      /denied/i,
      'what is the service’s stays closed'
    )
    t.match(
      await run(opened, asAdmin, 'id -un'),
      new RegExp(`^${userInfo().username}\n$`),
      'the tenant default'
    )
    for (const [tenant, detail] of [
      ['c', /^policy "super": root is root, as which no tenant's jobs may run/],
      ['d', /^policy "typo": user-unknown: there is no user nobdy \(a policy\)/],
      ['e-1', /^policy "each": user-unknown: there is no user roost-e-1/],
      [
        'f',
        /^policies "one-more" and "yet-another" name two accounts for process jobs of tenant "f": games and man/
      ],
      ['g', /^Process jobs of tenant "g" would run as the same user as those of other tenants/]
    ] as const) {
      const refused = problemOf(await submit(await of(tenant), processTask('true')))
      t.match(refused, { status: 403, code: 'policy-denied', detail, errors: [{ pointer: '/task/type' }] })
    }
  }
)

await t.test(
  'a job whose account was taken from its tenant while it waited does not run as another',
  async (t) => {
    const { run } = await openProcessRuntime(t)
    const { last } = await run('id -un', { tenant: 'a', user: null })
    t.match(last, { type: 'start-failed', code: 'user-missing', retriable: false })
  }
)

await t.test(
  'an account that a tenant used is no other tenant’s, also after a restart, until it is freed',
  { skip: isRoot ? false : 'other accounts need root' },
  async (t) => {
    const policies = (tenant: string) => `policies:\n  - {name: lent, tenants: [${tenant}], user: nobody}\n`
    const dataDir = folderFor(t)
    const opened = await openPolicyApp(t, policies('a'), { config: { process: 'on' }, dataDir })
    const { tokenOf, submit, file, app } = opened
    const [a, b] = [(await tokenOf('a')).headers, (await tokenOf('b')).headers]
    t.match(await run(opened, a, 'id -un'), /^nobody/)
    file.write(policies('b'))
    await app.policies.reload()
    const refusal = {
      status: 403,
      policy: 'lent',
      limit: 'nobody',
      value: 'b',
      detail: /jobs of tenant "a" run as nobody \(uid \d+\) already, and two tenants never share an account/
    }
    t.match(problemOf(await submit(b, processTask('true'))), refusal)
    await app.close()
    const later = await openPolicyApp(t, policies('b'), { config: { process: 'on' }, dataDir })
    t.match(problemOf(await later.submit(b, processTask('true'))), refusal)
    await later.app.close()
    const owners = join(dataDir, 'accounts.json')
    t.match(Object.values(JSON.parse(readFileSync(owners, 'utf8'))), ['a'])
    rmSync(owners)
    const freed = await openPolicyApp(t, policies('b'), { config: { process: 'on' }, dataDir })
    t.match(await run(freed, b, 'id -un'), /^nobody/)
  }
)

await t.test('a file of owners that cannot be read stops the start: nothing is guessed', async (t) => {
  const dataDir = folderFor(t)
  for (const [text, why] of [
    ['{"nobody": "a"}', '"nobody" is not a uid'],
    ['[]', 'not an object'],
    ['{', 'JSON']
  ] as const) {
    writeFileSync(join(dataDir, 'accounts.json'), text)
    await t.rejects(openProcessRuntime(t, { dataDir }), {
      message: new RegExp(`accounts\\.json, which says whose the accounts are, cannot be read .*${why}`)
    })
  }
})

await t.test(
  'without root the service’s own account may be that of one tenant alone',
  { skip: isRoot ? 'root is no tenant’s account' : false },
  async (t) => {
    const { username } = userInfo()
    const opened = await openPolicyApp(t, `policies:\n  - {name: own, tenants: [a], user: ${username}}\n`, {
      config: { process: 'on' },
      dataDir: folderFor(t)
    })
    const { tokenOf, submit } = opened
    t.match(await run(opened, (await tokenOf('a')).headers, 'id -un'), new RegExp(`^${username}\n$`))
    t.match(problemOf(await submit(asAdmin, processTask('true'))), {
      status: 403,
      detail: /jobs of tenant "a" run as .* already/
    })
    t.match(problemOf(await submit((await tokenOf('b')).headers, processTask('true'))), { status: 403 })
  }
)
