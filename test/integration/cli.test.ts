import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'
import t from 'tap'
import { runCli } from '../start-cli.ts'
import { startServiceFor } from '../start-service.ts'

const service = await startServiceFor(t)
const { dataDir } = service
const roost = (...args: string[]) => runCli(args, { dataDir })
const json = async (name: string, ...args: string[]): Promise<unknown> =>
  JSON.parse((await roost(name, '--json', ...args)).stdout)

await t.test('help, version and faults of the command line need no service', async (t) => {
  t.match(await runCli(['--help']), { code: 0, stdout: /Usage: roost COMMAND/ })
  t.match(await runCli([]), { code: 64, stdout: /Usage: roost COMMAND/ })
  t.match(await runCli(['help', 'run']), { code: 0, stdout: /--idempotency-key KEY/ })
  t.match(await runCli(['--version']), { code: 0, stdout: /^roost \d+\.\d+\.\d+\n$/ })
  t.match(await runCli(['--json', 'ps']), { code: 64, stderr: /--json stands before the command/ })
  t.match(await runCli(['rnu']), { code: 64, stderr: /did you mean run\?/ })
  t.match(await runCli(['ps', '--al']), { code: 64, stderr: /did you mean --all\?/ })
  t.match(JSON.parse((await runCli(['ps', '--json', '--nope'])).stderr), { code: 'usage', title: /--nope/ })
})

await t.test('without a service the command says how to start one', async (t) => {
  t.match(await runCli(['ps'], { dataDir: t.testdir() }), {
    code: 69,
    stderr: /Roost is not running[^]*roost up/
  })
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as AddressInfo
  closed.close()
  await once(closed, 'close')
  const env = { ROOST_URL: `http://127.0.0.1:${port}`, ROOST_TOKEN: 'some-token-of-someone' }
  for (const args of [['ps'], ['run', '--', 'true'], ['run', '--from', '-']])
    t.match(
      await runCli(args, { env, input: '["true"]' }),
      { code: 69, stderr: /No service answers/ },
      args.join(' ')
    )
})

await t.test('a token that is not known is 77, and so is one that may not', async (t) => {
  t.match(await runCli(['ps'], { env: { ROOST_URL: service.url, ROOST_TOKEN: 'not-a-token-of-this-one' } }), {
    code: 77,
    stderr: /not known here[^]*ROOST_TOKEN/
  })
  const { token, record } = (await json(
    'token',
    'create',
    '--name',
    'reader',
    '--scope',
    'read:jobs',
    '--expires',
    '1h'
  )) as { token: string; record: { id: string } }
  const env = { ROOST_URL: service.url, ROOST_TOKEN: token }
  t.match(await runCli(['ps'], { env }), { code: 0 })
  t.match(await runCli(['run', '--', 'true'], { env }), { code: 77, stderr: /write:jobs/ })
  t.match(await roost('token', 'list'), {
    code: 0,
    stdout: new RegExp(`${record.id} +reader .* expires in `)
  })
  t.match(await roost('token', 'revoke', record.id), { code: 0 })
  t.match(await roost('token'), { code: 0, stdout: `${service.token}\n` })
  t.match(await roost('token', 'create', '--name', 'x', '--scope', 'everything'), {
    code: 64,
    stderr: /--scope must be one of/
  })
})

await t.test('the configuration is shown with its sources, secrets masked', async (t) => {
  const file = join(
    t.testdir({ 'roost.yaml': 'priority: 5\n', 'good.yaml': 'logLevel: warn\n' }),
    'good.yaml'
  )
  const { stdout } = await runCli(['config', '--config', file], {
    env: { ROOST_TOKEN: 'a-token-that-is-long-enough', ROOST_PORT: '7171' }
  })
  t.match(stdout, new RegExp(`^logLevel +warn +${file}$`, 'm'))
  t.match(stdout, /^port +7171 +ROOST_PORT$/m)
  t.match(stdout, /^token +\*+ +ROOST_TOKEN$/m)
  t.match(stdout, /^host +127\.0\.0\.1 +default$/m)
  t.match(await runCli(['config', '--config', join(file, '../roost.yaml')]), { code: 64, stderr: /priority/ })
})

await t.test('doctor finds nothing wrong here, and the open door where there is one', async (t) => {
  const { code, stdout } = await roost('doctor')
  t.equal(code, 0, stdout)
  for (const name of [
    'Node',
    'configuration',
    'data directory',
    'disk',
    'service',
    'clock',
    'ready: storage',
    'runtimes',
    'limits'
  ])
    t.match(stdout, new RegExp(`^(ok|warn) +${name} `, 'm'))
  const folder = t.testdir({ 'roost.yaml': `diskReserveBytes: ${2 ** 52}\ndataDir: ${dataDir}\n` })
  t.match(await runCli(['doctor', '--config', join(folder, 'roost.yaml')]), {
    code: 1,
    stdout: /fail +disk[^]*No attempt starts below 4096 TiB[^]*ok +service/
  })
  const open = join(folder, 'open')
  mkdirSync(open, { mode: 0o755 })
  writeFileSync(join(open, 'token'), 'x', { mode: 0o644 })
  t.match(await runCli(['doctor'], { dataDir: open }), {
    code: 1,
    stdout: /warn +data directory[^]*chmod 700[^]*fail +token file[^]*chmod 600[^]*fail +service/
  })
  const passable = join(folder, 'passable')
  mkdirSync(passable)
  chmodSync(passable, 0o711)
  t.match(
    (await runCli(['doctor'], { dataDir: passable })).stdout,
    /ok +data directory +.* \(mode 711\)/,
    'Roost opens it so far itself, for jobs of other users'
  )
  const bad = join(t.testdir({ 'roost.yaml': 'priority: 5\nport: x\n' }), 'roost.yaml')
  t.match(
    (await runCli(['doctor', '--config', bad])).stdout,
    /fail +configuration +The configuration is not valid:\n +- [^\n]*\n +- /,
    'a line for each problem'
  )
})

await t.test('beyond loopback process jobs are off, and everybody says why', async (t) => {
  const shared = await startServiceFor(t, { flags: ['--host', '0.0.0.0'] })
  const why = /listening on 0\.0\.0\.0: process jobs are off; ROOST_PROCESS=on switches them on/
  const options = { dataDir: shared.dataDir }
  t.match(await runCli(['doctor'], options), { code: 1, stdout: why })
  t.match(await runCli(['run', '--', 'true'], options), { code: 64, stderr: why })
  t.ok(
    shared.lines.some((line) => line.includes('"level":"warn"') && why.test(line)),
    'the log too'
  )
})

await t.test('a backup is a file that is there', async (t) => {
  const file = join(t.testdir(), 'copy.db')
  t.match(await roost('backup', file), { code: 0, stdout: /copy\.db +[\d.]+ KiB/ })
  t.ok(existsSync(file))
})

await t.test('install-service shows the unit and what it would do', async (t) => {
  const { code, stdout, stderr } = await runCli(
    ['install-service', '--user', '--dry-run', '--port', '7171'],
    { dataDir, env: { XDG_CONFIG_HOME: '/cfg' } }
  )
  t.equal(code, 0)
  t.match(stdout, /^ExecStart="\/.*\/roost" "up" "--port" "7171" "--data-dir" ".*"$/m)
  t.match(
    stderr,
    /would write: \/cfg\/systemd\/user\/roost\.service\nwould run: systemctl --user daemon-reload\nwould run: systemctl --user enable --now roost\.service/
  )
  t.match(await runCli(['install-service', '--user', '--system']), { code: 64 })
  t.match(
    await runCli(['install-service', '--uninstall', '--user', '--dry-run'], {
      env: { XDG_CONFIG_HOME: '/nowhere' }
    }),
    { code: 0, stderr: /nothing to do/ }
  )
})

await t.test(
  'install-service without systemd says what to do instead',
  { skip: existsSync('/run/systemd/system') && 'systemd runs here' },
  async (t) => {
    t.match(await runCli(['install-service', '--user']), { code: 1, stderr: /nohup \.\/roost up/ })
  }
)

await t.test('completion for bash knows commands, flags, choices and ids', async (t) => {
  const { stdout } = await runCli(['completion', 'bash'])
  t.equal(spawnSync('bash', ['-n'], { input: stdout }).status, 0)
  const folder = t.testdir({ script: stdout })
  const complete = (...words: string[]) =>
    spawnSync(
      'bash',
      [
        '-c',
        `source "$0"; roost() { echo an-id; }; COMP_WORDS=(roost "$@"); COMP_CWORD=$#; _roost; printf '%s\\n' "\${COMPREPLY[@]}"`,
        join(folder, 'script'),
        ...words
      ],
      { encoding: 'utf8' }
    )
      .stdout.trim()
      .split('\n')
  t.same(complete('re'), ['rerun'])
  t.same(complete('run', '--id'), ['--idempotency-key'])
  t.same(complete('run', '--locality', 'pre'), ['prefer-local'])
  t.same(complete('get', ''), ['an-id'])
  t.same(complete('token', 'rev'), ['revoke'])
  t.match(await runCli(['completion', 'zsh']), { code: 0, stdout: /^#compdef roost\n/ })
  t.match(await runCli(['completion', 'fish']), { code: 64, stderr: /bash or zsh/ })
})
