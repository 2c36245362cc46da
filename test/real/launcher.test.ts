import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

// ./roost on machines as people have them: each run starts from a copy of the checkout and a HOME of its own, with
// only the programs on PATH that the test names. The registry is the real one.

const root = fileURLToPath(new URL('../..', import.meta.url))
const place = mkdtempSync(join(tmpdir(), 'roost launcher '))
t.teardown(() => rmSync(place, { recursive: true, force: true, maxRetries: 5 }))

const askNpm = (...args: string[]) => spawnSync('npm', args, { encoding: 'utf8', cwd: place }).stdout.trim()
const userConfig = askNpm('config', 'get', 'userconfig')
const npmCache = askNpm('config', 'get', 'cache')
const deadRegistry = 'http://127.0.0.1:9/'

// What a bare system has for a shell script, and nothing that runs JavaScript.
const tools = join(place, 'tools')
mkdirSync(tools)
const programs = [
  'sh',
  'env',
  'cat',
  'cksum',
  'cp',
  'dirname',
  'find',
  'ln',
  'mkdir',
  'mv',
  'readlink',
  'rm',
  'sleep',
  'uname'
]
for (const program of programs) {
  const found = spawnSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).stdout.trim()
  symlinkSync(found, join(tools, program))
}

// Node 14 and the npm of its time.
const old = join(place, 'old')
mkdirSync(old)
writeFileSync(join(old, 'package.json'), '{"private":true}')
const oldPackages = [`node-linux-${process.arch}@14`, 'npm@6']
const installed = spawnSync(
  'npm',
  ['install', '--no-audit', '--ignore-scripts', '--prefer-offline', ...oldPackages],
  {
    cwd: old,
    encoding: 'utf8'
  }
)
t.equal(installed.status, 0, installed.stderr)
const oldBin = join(old, 'node_modules/.bin')

// The command in each copy tells what it was given.
const probe = `
const { argv, cwd, env, version } = process
console.log(JSON.stringify({ args: argv.slice(2), cwd: cwd(), version, path: env.PATH, compile: env.NODE_COMPILE_CACHE }))
`

const copyClone = (name: string): string => {
  const clone = join(place, name)
  const listed = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root
  })
  for (const file of listed.stdout.toString().split('\0')) {
    if (file !== '' && existsSync(join(root, file))) cpSync(join(root, file), join(clone, file))
  }
  mkdirSync(join(clone, 'src/cli'), { recursive: true })
  writeFileSync(join(clone, 'src/cli/main.ts'), probe)
  return clone
}

type Options = { home: string; path: string[]; cwd?: string; env?: Record<string, string>; shell?: string[] }

const environment = ({ home, path, env }: Options): NodeJS.ProcessEnv => {
  const inherited = Object.entries(process.env).filter(
    ([key]) =>
      key === 'npm_config_registry' || !/^(npm_|TAP|_TAP|NODE_OPTIONS|NODE_COMPILE|XDG_|ROOST_)/.test(key)
  )
  return {
    ...Object.fromEntries(inherited),
    npm_config_userconfig: userConfig,
    npm_config_cache: npmCache,
    HOME: home,
    PATH: path.join(':'),
    ...env
  }
}

const start = (launcher: string, args: string[], options: Options) => {
  // tap puts its NODE_OPTIONS into the environment of every child, and an old Node refuses them.
  const child = spawn('env', ['-u', 'NODE_OPTIONS', ...(options.shell ?? []), launcher, ...args], {
    cwd: options.cwd ?? dirname(launcher),
    env: environment(options),
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text))
  const ended = once(child, 'close').then(([status]) => ({ ...output, status }))
  /** Resolves once the launcher has written these words to stderr. */
  const says = async (words: string) => {
    while (!output.stderr.includes(words)) await once(child.stderr, 'data')
  }
  return { child, ended, says }
}

const run = (launcher: string, args: string[], options: Options) => start(launcher, args, options).ended
const newHome = (name: string) => mkdirSync(join(place, name), { recursive: true }) ?? join(place, name)

const clone = copyClone('my clone')
const roost = join(clone, 'roost')
const home = newHome('my home')
const onOldNode = { home, path: [oldBin, tools] }

await t.test('an old Node and its npm are enough', async (t) => {
  const begin = performance.now()
  const { status, stdout, stderr } = await run(roost, ['a', 'b  c', ''], onOldNode)
  t.comment(`first start: ${Math.round(performance.now() - begin)} ms`)
  t.equal(status, 0, stderr)
  const told = JSON.parse(stdout)
  t.same(told.args, ['a', 'b  c', ''])
  t.match(told.version, /^v24\./)
  t.equal(told.path, `${oldBin}:${tools}`, 'the command sees the PATH of its caller')
  t.equal(told.compile, join(home, '.cache/roost/compile'))
  const lines = stderr.trim().split('\n')
  t.match(lines, [
    /^roost: Installing Node 24 for Roost into /,
    /^roost: Installing Roost's dependencies into /
  ])
  t.equal(lines.length, 2)
  t.notOk(existsSync(join(clone, 'node_modules/tap')), 'only what running needs')
  t.same(readdirSync(home), ['.cache'])
  t.same(readdirSync(join(clone, '.roost/launcher')), [], 'nothing is left over')
})

await t.test('the second start needs no network and no npm, and is quick', async (t) => {
  const offline = { ...onOldNode, path: [tools], env: { npm_config_registry: deadRegistry } }
  const { status, stderr } = await run(roost, [], offline)
  t.equal(status, 0)
  t.equal(stderr, '')

  const node = join(home, `.cache/roost/node-linux-${process.arch}-24/node_modules/.bin/node`)
  const compile = { ...offline.env, NODE_COMPILE_CACHE: join(home, '.cache/roost/compile') }
  const best = async (rounds: number, what: () => Promise<unknown>) => {
    let least = Number.POSITIVE_INFINITY
    for (let round = 0; round < rounds; round += 1) {
      const begin = performance.now()
      await what()
      least = Math.min(least, performance.now() - begin)
    }
    return least
  }
  const direct = await best(10, () =>
    run(node, [join(clone, 'src/cli/main.ts')], { ...offline, env: compile })
  )
  const launched = await best(10, () => run(roost, [], offline))
  t.comment(`the launcher adds ${Math.round(launched - direct)} ms to ${Math.round(direct)} ms`)
  t.ok(launched - direct < 50, `${launched - direct} ms`)
})

await t.test('it works through links, from any folder and in every shell', async (t) => {
  mkdirSync(join(home, 'bin'))
  symlinkSync(roost, join(place, 'link'))
  symlinkSync('../../link', join(home, 'bin/roost'))
  const { status, stdout, stderr } = await run(join(home, 'bin/roost'), ['x'], { ...onOldNode, cwd: '/' })
  t.equal(status, 0, stderr)
  t.match(JSON.parse(stdout), { args: ['x'], cwd: '/' })
  for (const shell of [['dash'], ['bash', '--posix'], ['busybox', 'ash']]) {
    const found = spawnSync('sh', ['-c', `command -v ${shell[0]}`], { encoding: 'utf8' }).stdout.trim()
    await t.test(
      shell.join(' '),
      { skip: found === '' && `${shell[0]} is not on this machine` },
      async (t) => {
        const ended = await run(roost, ['y'], { ...onOldNode, shell: [found, ...shell.slice(1)] })
        t.match(ended, { status: 0, stderr: '' })
      }
    )
  }
})

await t.test('a lock file that changed is followed; where that fails, what was there stays', async (t) => {
  const lockFile = join(clone, 'package-lock.json')
  const before = readFileSync(lockFile, 'utf8')
  writeFileSync(lockFile, `${before}\n`)
  const unreachable = {
    npm_config_registry: deadRegistry,
    npm_config_cache: join(place, 'no cache'),
    npm_config_fetch_retries: '0'
  }
  const failed = await run(roost, [], { ...onOldNode, env: unreachable })
  t.equal(failed.status, 1)
  t.match(failed.stderr, /could not install the dependencies[\s\S]*Check the network and the registry/)
  t.ok(existsSync(join(clone, 'node_modules/fastify')))
  writeFileSync(lockFile, before)
  t.match(await run(roost, [], onOldNode), { status: 0, stderr: '' })
})

await t.test('two at once install once', async (t) => {
  const twin = join(copyClone('twins'), 'roost')
  const both = await Promise.all([run(twin, ['1'], onOldNode), run(twin, ['2'], onOldNode)])
  t.same(
    both.map(({ status }) => status),
    [0, 0]
  )
  t.equal(both.filter(({ stderr }) => stderr.includes('Installing')).length, 1)
})

await t.test('an install that was killed is repaired by the next start', async (t) => {
  const victim = join(copyClone('victim'), 'roost')
  const options = { ...onOldNode, home: newHome('home of the victim') }
  for (const words of ['Installing Node 24', "Installing Roost's dependencies"]) {
    const attempt = start(victim, [], options)
    await attempt.says(words)
    attempt.child.kill('SIGKILL') // its npm goes on for a while, as after a real kill -9
    await once(attempt.child, 'exit')
    t.teardown(() => attempt.ended)
  }
  const { status, stdout, stderr } = await run(victim, ['again'], options)
  t.equal(status, 0, stderr)
  t.same(JSON.parse(stdout).args, ['again'])
})

await t.test('npm without a Node on PATH is enough', async (t) => {
  const bin = newHome('only npm')
  writeFileSync(
    join(bin, 'npm'),
    `#!/bin/sh\nexec '${oldBin}/node' '${old}/node_modules/npm/bin/npm-cli.js' "$@"\n`
  )
  chmodSync(join(bin, 'npm'), 0o755)
  const { status, stdout, stderr } = await run(roost, [], {
    home: newHome('home of npm'),
    path: [bin, tools]
  })
  t.equal(status, 0, stderr)
  t.match(JSON.parse(stdout).version, /^v24\./)
})

await t.test('where nothing works, it says what to do', async (t) => {
  const nothing = await run(roost, [], { home: newHome('home of nothing'), path: [tools] })
  t.match(nothing, { status: 1, stdout: '' })
  t.match(nothing.stderr, /needs Node 22\.19 or newer.*here is Node none and no npm/)
  t.match(nothing.stderr, /apt-get install npm/)

  const readOnly = await run(roost, [], { ...onOldNode, home: '/dev/null' })
  t.match(readOnly, { status: 1, stdout: '' })
  t.match(readOnly.stderr, /cannot write to \/dev\/null\/\.cache\/roost[\s\S]*ROOST_CACHE_DIR/)
  const elsewhere = { ROOST_CACHE_DIR: join(home, '.cache/roost') }
  t.match(await run(roost, [], { ...onOldNode, home: '/dev/null', env: elsewhere }), {
    status: 0,
    stderr: ''
  })
})

await t.test('a new enough Node is used as it is, and ./roost test ends with the counts', async (t) => {
  const fresh = newHome('home of a new Node')
  const path = [dirname(process.execPath), ...(process.env['PATH'] ?? '').split(':')]
  writeFileSync(join(clone, 'test/unit/one.test.ts'), "import t from 'tap'\nt.pass('one')\n")
  const begin = performance.now()
  const { status, stdout, stderr } = await run(roost, ['test', 'test/unit/one.test.ts'], {
    home: fresh,
    path
  })
  t.comment(`./roost test with a first full install: ${Math.round(performance.now() - begin)} ms`)
  t.equal(status, 0, stdout + stderr)
  t.equal(stdout.trim().split('\n').at(-1), '1 passed, 0 failed')
  t.notOk(existsSync(join(fresh, `.cache/roost/node-linux-${process.arch}-24`)))
  const { stdout: version } = await run(roost, ['exec', 'node', '-v'], { home: fresh, path })
  t.equal(version.trim(), process.version)
})
