import { join } from 'node:path'
import Database from 'better-sqlite3'
import t from 'tap'
import { runCli } from '../start-cli.ts'
import { startServiceFor } from '../start-service.ts'

await t.test(
  'roost audit shows what was done, and verify finds what was altered while the service was down',
  async (t) => {
    const service = await startServiceFor(t)
    const { dataDir } = service
    const roost = (...args: string[]) => runCli(args, { dataDir })
    t.equal((await roost('token', 'create', '--name', 'ci', '--scope', 'read:jobs')).code, 0)
    const atStart = service.lines.find((line) => line.includes('"head":"'))
    t.match(
      JSON.parse(atStart ?? '{}'),
      { level: 'info', head: /^\d+:[0-9a-f]{64}$/ },
      'a start logs the head'
    )
    t.equal((await roost('drain')).code, 0)
    const shown = await roost('audit', '--since', '1h')
    t.match(shown.stdout, /TIME \(UTC\) +WHO +FROM +ACTION +SUBJECT +DETAIL/)
    t.match(shown.stdout, /local +127\.0\.0\.1 +token\.create +\S+ +.*"name":"ci"/)
    t.match(shown.stdout, /system +- +service\.start/)
    const json = await roost('audit', '--action', 'node.drain', '--json')
    t.match(JSON.parse(json.stdout), {
      items: [{ action: 'node.drain', client: /^roost-cli\//, detail: { after: { draining: true } } }],
      cursor: null
    })

    const made = await roost('token', 'create', '--name', 'ops', '--scope', 'admin')
    const env = { ROOST_URL: service.url, ROOST_TOKEN: made.stdout.trim() }
    t.equal((await runCli(['undrain'], { env })).code, 0)
    const byName = await roost('audit', '--actor', 'ops', '--json')
    t.match(JSON.parse(byName.stdout), { items: [{ action: 'node.undrain', actorName: 'ops' }] })
    t.equal((await roost('token', 'create', '--name', 'ops', '--scope', 'admin')).code, 0)
    t.match(await roost('audit', '--actor', 'ops'), { code: 64, stderr: /2 tokens are named "ops"/ })

    const verified = await roost('audit', 'verify')
    t.equal(verified.code, 0)
    const head = verified.stdout.trim()
    t.match(head, /^\d+:[0-9a-f]{64}$/)
    t.match(await roost('audit', 'verify', '--expect', head), { code: 0 })

    await service.kill('SIGTERM')
    const edit = (sql: string) => {
      const database = new Database(join(dataDir, 'roost.db'))
      database.exec(sql)
      database.close()
    }
    edit(`update audit set actor_name = 'somebody' where action = 'token.create'`)
    await service.restart()
    const altered = await roost('audit', 'verify')
    t.equal(altered.code, 1)
    t.match(altered.stderr, /Entry \d+ is not what it was when it was written/)
    t.equal(altered.stdout, '', 'no head that could overwrite a kept one')
    const expected = await roost('audit', 'verify', '--expect', head)
    t.match(expected, { code: 1, stdout: '', stderr: /is not what it was/ })
    t.notMatch(expected.stderr, /cut off/, 'the walk did not come that far')

    await service.kill('SIGTERM')
    edit(`delete from audit where seq > 1`)
    await service.restart()
    t.match(await roost('audit', 'verify'), { code: 0 }, 'what is left is a chain')
    const cut = await roost('audit', 'verify', '--expect', head, '--json')
    t.equal(cut.code, 1)
    t.match(
      await roost('audit', 'verify', '--expect', head),
      { code: 1, stdout: '' },
      'nor where it was cut off'
    )
    t.match(JSON.parse(cut.stdout), { ok: false, fault: null, anchor: /missing|different/ })
    t.match(await roost('audit', 'verify', '--expect', 'x'), { code: 64 })
  }
)
