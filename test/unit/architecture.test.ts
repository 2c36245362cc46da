import { spawnSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

// Who may import whom. A name after `type` may be imported for its types only; plugins' index.ts stands for the
// thin wrapper that others see, never for what lies beside it. .oxlintrc.json says most of it in the editor.
const borders: Record<string, { may: string[]; types?: string[]; packages?: RegExp }> = {
  schemas: { may: ['schemas'], packages: /^@sinclair\/typebox/ },
  domain: { may: ['schemas', 'domain'], packages: /^$/ },
  contracts: { may: ['schemas', 'contracts'], types: ['domain'] },
  kernel: { may: ['schemas', 'kernel'], types: ['contracts', 'config'] },
  config: { may: ['schemas', 'kernel', 'config'] },
  routes: { may: ['schemas', 'contracts', 'kernel', 'routes'], types: ['plugins/*/index.ts'] },
  plugin: {
    may: ['schemas', 'contracts', 'domain', 'kernel', 'itself'],
    types: ['plugins/*/index.ts', 'extension']
  },
  extension: { may: ['schemas', 'contracts', 'kernel', 'config'], types: ['app', 'plugins/*/index.ts'] },
  app: {
    may: ['schemas', 'contracts', 'kernel', 'config', 'routes', 'extension', 'app', 'plugins/*/index.ts']
  },
  cli: { may: ['schemas', 'kernel', 'config', 'app', 'cli'] }
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const sources = globSync('{src,plugins,test,bench,scripts}/**/*.ts', { cwd: root })
const composition = ['app.ts', 'service.ts', 'main.ts']

/** The area of a file of the repository; `kernel` is what stands in src/ itself beside the composition. */
const areaOf = (file: string): string => {
  const [top = '', second = '', third] = file.split('/')
  if (top === 'plugins') return third === 'index.ts' ? 'plugins/*/index.ts' : `plugins/${second}`
  if (top !== 'src') return top
  if (third !== undefined) return second
  if (composition.includes(second)) return 'app'
  return second === 'extension.ts' ? 'extension' : 'kernel'
}

type Import = { specifier: string; isType: boolean }

const importsOf = (file: string): Import[] => {
  const text = readFileSync(join(root, file), 'utf8')
  const written = text.matchAll(/^(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm)
  const lazy = text.matchAll(/(?<!\/\/.*|typeof )\bimport\(\s*'([^']+)'/g)
  return [
    ...[...written].map(([, type, specifier = '']) => ({ specifier, isType: type !== undefined })),
    ...[...lazy].map(([, specifier = '']) => ({ specifier, isType: false }))
  ]
}

/** Why the border does not let `file` import this, or undefined where it does. */
const objection = (file: string, { specifier, isType }: Import): string | undefined => {
  const area = areaOf(file)
  const isPlugin = area.startsWith('plugins/')
  const border = borders[isPlugin ? 'plugin' : area]
  if (border === undefined) return undefined // tests, benches and scripts may see everything
  if (!specifier.startsWith('.')) {
    if (border.packages === undefined || border.packages.test(specifier)) return undefined
    return `${file}: ${area} imports no ${specifier}`
  }
  const target = posix.join(posix.dirname(file), specifier)
  if (isPlugin && target.split('/').slice(0, 2).join('/') === file.split('/').slice(0, 2).join('/'))
    return undefined
  const to = areaOf(target)
  if (border.may.includes(to) || (isType && border.types?.includes(to))) return undefined
  return `${file}: ${isPlugin ? 'a plugin' : area} may not import ${isType ? 'types of ' : ''}${target}`
}

await t.test('there is something to look at', async (t) => {
  t.ok(sources.length > 50, `${sources.length} files`)
  t.ok(sources.flatMap(importsOf).length > 100)
  const areas = new Set(sources.map(areaOf))
  for (const area of ['schemas', 'domain', 'contracts', 'kernel', 'config', 'routes', 'app']) {
    t.ok(areas.has(area), area)
  }
})

await t.test('the borders are seen to be crossed', async (t) => {
  const crossings: [file: string, specifier: string, isType: boolean][] = [
    ['src/domain/retry.ts', 'node:crypto', false],
    ['src/domain/placement/place.ts', '../../errors.ts', false],
    ['src/contracts/storage.ts', '../domain/retry.ts', false],
    ['src/routes/jobs.ts', '../domain/retry.ts', true],
    ['src/routes/jobs.ts', '../../plugins/storage/index.ts', false],
    ['plugins/stream/stream.ts', '../storage/session.ts', true],
    ['plugins/stream/stream.ts', '../storage/index.ts', false],
    ['plugins/runtimes/process/start.ts', '../../../src/app.ts', true],
    ['src/app.ts', '../plugins/storage/session.ts', false]
  ]
  for (const [file, specifier, isType] of crossings) {
    t.ok(objection(file, { specifier, isType }), `${file} ${specifier}`)
  }
  t.notOk(objection('plugins/stream/stream.ts', { specifier: '../storage/index.ts', isType: true }))
  t.notOk(objection('plugins/runtimes/process/start.ts', { specifier: '../registry.ts', isType: false }))
})

await t.test('nobody imports across a border', async (t) => {
  const objections = sources.flatMap((file) => importsOf(file).map((found) => objection(file, found)))
  t.same(
    objections.filter((one) => one !== undefined),
    []
  )
})

await t.test('every relative import leads to a file', async (t) => {
  const lost = sources.flatMap((file) =>
    importsOf(file)
      .filter(({ specifier }) => specifier.startsWith('.'))
      .filter(({ specifier }) => !existsSync(join(root, dirname(file), specifier)))
      .map(({ specifier }) => `${file}: ${specifier}`)
  )
  t.same(lost, [])
})

await t.test('the lock file installs anywhere', async (t) => {
  type Entry = { resolved?: string; optionalDependencies?: Record<string, string> }
  const { packages }: { packages: Record<string, Entry> } = JSON.parse(
    readFileSync(join(root, 'package-lock.json'), 'utf8')
  )
  t.ok(Object.keys(packages).length > 100)
  // An address would tie every clone to the registry of whoever locked.
  t.same(
    Object.keys(packages).filter((path) => packages[path]?.resolved !== undefined),
    []
  )
  // A registry that holds only some platforms' packages leaves the others out, and then `npm ci` refuses the lock.
  const optional = Object.values(packages).flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}))
  t.same(
    optional.filter((name) => !Object.keys(packages).some((path) => path.endsWith(`node_modules/${name}`))),
    []
  )
})

const listCommitted = (): string[] => {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard']
  const { status, stdout } = spawnSync('git', args, { cwd: root, encoding: 'utf8' })
  return status === 0 ? stdout.split('\0').filter((file) => file !== '' && existsSync(join(root, file))) : []
}
const files = listCommitted()
const noClone = files.length === 0 && 'this is no git clone, so what is committed is unknown'

await t.test('no file tells of one machine or one registry', { skip: noClone }, async (t) => {
  t.ok(files.length > 50)
  const words = ['work/', 'root/', 'home/[a-z][\\w-]*/'].map((path) => `(?<![\\w.~/$}-])/${path}`)
  const hosts = ['registry.npmjs', 'registry.yarnpkg', 'pypi', 'static.crates', 'proxy.golang', 'deb.debian']
  const telling = new RegExp([...words, ...hosts.map((host) => `${host}\\.(org|com|io)`)].join('|'))
  const found = files.flatMap((file) => {
    const lines = readFileSync(join(root, file), 'utf8').split('\n')
    if (lines[0]?.includes('\0')) return [] // not a text
    return lines.flatMap((line, at) =>
      telling.test(line) ? [`${file}:${at + 1}: ${line.trim().slice(0, 120)}`] : []
    )
  })
  t.same(found, [])
})
