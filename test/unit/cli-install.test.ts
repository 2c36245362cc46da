import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { checkClock, checkDisk, checkNode, checkStorage } from '../../src/cli/checks.ts'
import { unitText } from '../../src/cli/systemd-unit.ts'

const options = {
  launcher: '/opt/roost/roost',
  flags: [],
  system: true,
  runAs: null,
  nodeDir: '/opt/node/bin',
  home: '/root'
}

await t.test('the unit leaves jobs running and may make control groups', async (t) => {
  const text = unitText(options)
  for (const line of [
    'KillMode=process',
    'Delegate=yes',
    'Restart=always',
    'After=network-online.target',
    'ExecStart="/opt/roost/roost" "up"',
    'WantedBy=multi-user.target',
    'Environment="HOME=/root"'
  ]) {
    t.ok(text.split('\n').includes(line), line)
  }
  t.match(unitText({ ...options, system: false }), /WantedBy=default\.target/)
  t.match(unitText({ ...options, runAs: 'ada' }), /^User=ada$/m)
})

await t.test('paths are quoted as systemd reads them', async (t) => {
  const text = unitText({ ...options, launcher: '/a b/"x"%/$y', flags: ['--data-dir', '/d $e/%f'] })
  t.ok(text.includes(String.raw`ExecStart="/a b/\"x\"%%/$y" "up" "--data-dir" "/d $$e/%%f"`), text)
  t.throws(() => unitText({ ...options, launcher: '/a\nExecStart=/bin/sh' }), /line break/)
})

const verify = spawnSync('systemd-analyze', ['--version']).status === 0
await t.test(
  'systemd accepts the unit',
  { skip: verify ? false : 'systemd-analyze is not here' },
  async (t) => {
    for (const system of [true, false]) {
      const dir = t.testdir()
      const folder = join(dir, `with space $x 100% ${system}`)
      mkdirSync(folder, { recursive: true })
      writeFileSync(join(folder, 'roost'), '#!/bin/sh\n')
      chmodSync(join(folder, 'roost'), 0o755)
      const unit = join(dir, 'roost-test.service')
      writeFileSync(
        unit,
        unitText({ ...options, launcher: join(folder, 'roost'), system, flags: ['--data-dir', '/tmp/a b'] })
      )
      const { status, stderr, stdout } = spawnSync(
        'systemd-analyze',
        ['verify', '--man=no', '--recursive-errors=no', unit],
        { encoding: 'utf8', env: { ...process.env, XDG_RUNTIME_DIR: dir } }
      )
      t.equal(status, 0, stderr + stdout)
      t.notMatch(stderr, /roost-test/, stderr)
    }
  }
)

await t.test('doctor knows which Node fits and whether the clocks agree', async (t) => {
  t.same(
    ['22.18.0', '22.19.0', '23.5.0', '24.0.0', '20.1.0', '25.0.0'].map((found) => checkNode(found).state),
    ['fail', 'ok', 'fail', 'ok', 'fail', 'ok']
  )
  const now = Date.parse('2026-01-01T00:00:10.500Z')
  t.equal(checkClock('Thu, 01 Jan 2026 00:00:10 GMT', now, now + 20).state, 'ok')
  t.match(checkClock('Thu, 01 Jan 2026 00:10:10 GMT', now, now + 20), { state: 'warn', message: /ahead/ })
  t.match(checkClock('Wed, 31 Dec 2025 23:50:10 GMT', now, now + 20), {
    state: 'warn',
    message: /10m behind|9m59s behind/
  })
  t.equal(checkClock(null, now, now).state, 'warn')
})

await t.test('of a default doctor says only that it is one', async (t) => {
  const little = 2 ** 20
  const bytes = 64 * 2 ** 20
  t.match(checkDisk(little, '/data', { bytes, isKnown: true }), {
    state: 'fail',
    remedy: /^No attempt starts below 64 MiB/
  })
  t.match(checkDisk(little, '/data', { bytes, isKnown: false }), {
    state: 'warn',
    remedy: /^By default .*64 MiB.*--config FILE/
  })
  t.match(checkDisk(little, '/data', { bytes: 0, isKnown: true }), { state: 'warn', remedy: /^Make room/ })
  t.match(checkDisk(2 ** 40, '/data', { bytes, isKnown: false }), { state: 'ok', remedy: null })
})

await t.test('doctor tells which database stores the jobs, and why it does not', (t) => {
  const storage = { dialect: 'postgres', writable: true, schemaVersion: 5, bytes: 2 ** 20, message: null }
  t.match(checkStorage(storage), { state: 'ok', message: /^postgres, schema 5, 1 MiB$/ })
  t.match(checkStorage({ ...storage, writable: false, message: 'The database db:5432/x is away.' }), {
    state: 'fail',
    message: /postgres.*: The database db:5432\/x is away\./,
    remedy: /by itself/
  })
  t.end()
})
