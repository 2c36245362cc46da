import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildComponent, components, kit, listComponents, startComponent, stopComponent } from './kit.ts'
import { root, runTap } from './run-tap.ts'

// The tests against real systems: npm run test:real [-- WORD...], where WORD is part of a file's or a component's
// name. A file in test/real names what it needs in its first line, as in `// kit: postgres, tools`; the kit
// builds and starts that. In .ci/run (ROOST_CI_STARTED, in seconds of the epoch) no build may run past minute 50;
// what is left out for that is NOT RUN, and fails where what it covers has changed.

type RealTest = { file: string; needs: string[] }
type Omission = { why: string; isFailure: boolean }

const buildsEndAtMinute = 50
const ciStarted = Number(process.env['ROOST_CI_STARTED'] ?? Number.NaN)
const minutesLeft = () =>
  Number.isNaN(ciStarted)
    ? Number.POSITIVE_INFINITY
    : buildsEndAtMinute - (Date.now() / 1000 - ciStarted) / 60

const findTests = (words: string[]): RealTest[] =>
  globSync('test/real/**/*.test.ts', { cwd: root })
    .map((file) => {
      const [, names = ''] = /^\/\/ kit: (.*)/.exec(readFileSync(join(root, file), 'utf8')) ?? []
      return { file, needs: names.split(/[\s,]+/).filter((name) => name !== '') }
    })
    .filter(
      (test) =>
        words.length === 0 || words.some((word) => test.file.includes(word) || test.needs.includes(word))
    )
    .toSorted((a, b) => a.needs.join().localeCompare(b.needs.join()) || a.file.localeCompare(b.file))

// What lands together is a few hours' work at most, so its base is the last commit well before that. Where there
// is none, or no git, everything counts as changed.
const findChanges = (): string[] | undefined => {
  const git = (...args: string[]) =>
    spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout?.trim() ?? ''
  const headSeconds = Number(git('log', '-1', '--format=%ct'))
  const base =
    process.env['ROOST_CI_BASE'] ?? git('rev-list', '-1', `--before=${headSeconds - 4 * 3600}`, 'HEAD')
  return base === '' ? undefined : git('diff', '--name-only', base).split('\n')
}

const isTouched = (name: string, tests: RealTest[]): boolean => {
  const files = tests.filter((test) => test.needs.includes(name)).map((test) => test.file)
  const covers = components[name]?.covers ?? []
  return (
    changes?.some((path) => files.includes(path) || covers.some((folder) => path.startsWith(folder))) ?? true
  )
}

/** Builds what is missing, the quick ones first. @returns why a component cannot be used, by name */
const prepare = async (tests: RealTest[]): Promise<Map<string, Omission>> => {
  const omissions = new Map<string, Omission>()
  const standing = listComponents()
  const minutesOf = (name: string) => components[name]?.buildMinutes ?? 30
  const needed = [...new Set(tests.flatMap((test) => test.needs))].toSorted(
    (a, b) => minutesOf(a) - minutesOf(b)
  )
  for (const name of needed) {
    const leaveOut = (why: string, isFailure = isTouched(name, tests)) =>
      omissions.set(name, { why, isFailure })
    if (standing.get(name)?.isBuilt) continue
    if (standing.size === 0) leaveOut(`there is no kit at ${kit}`)
    else if (!standing.has(name)) leaveOut('the kit has no such component', true)
    else if (minutesOf(name) > minutesLeft()) {
      leaveOut(`not built here, and its build takes about ${minutesOf(name)} minutes`)
    } else {
      console.log(`building ${name} (up to about ${minutesOf(name)} minutes)`)
      const outcome = await buildComponent(name, minutesLeft() * 60_000)
      if (outcome === 'stopped') leaveOut(`its build did not end by minute ${buildsEndAtMinute}`)
      if (outcome === 'failed') leaveOut('its build failed', true)
    }
  }
  return omissions
}

/** Runs the tests in their order; a component starts before the first that needs it and ends after the last. */
const runTests = async (tests: RealTest[], omissions: Map<string, Omission>) => {
  const counts = { passed: 0, failed: 0 }
  const settings = new Map<string, Record<string, string>>()
  const wasUp = new Set([...listComponents()].filter(([, { isUp }]) => isUp).map(([name]) => name))
  const stop = (name: string) => {
    settings.delete(name)
    if (!wasUp.has(name)) stopComponent(name)
  }
  try {
    for (const [at, { file, needs }] of tests.entries()) {
      if (isInterrupted) break
      for (const name of needs) {
        if (settings.has(name) || omissions.has(name)) continue
        const added = startComponent(name)
        if (added !== undefined) settings.set(name, added)
        else omissions.set(name, { why: 'it is built and does not start', isFailure: true })
      }
      if (!needs.some((name) => omissions.has(name))) {
        console.log(`-- ${file}`)
        const added = needs.map((name) => settings.get(name) ?? {})
        const { passed, failed } = await runTap(
          ['--timeout=900', '--jobs=1', file],
          Object.assign({}, process.env, ...added)
        )
        counts.passed += passed
        counts.failed += failed
      }
      const later = new Set(tests.slice(at + 1).flatMap((test) => test.needs))
      for (const name of settings.keys()) if (!later.has(name)) stop(name)
    }
  } finally {
    for (const name of settings.keys()) stop(name)
  }
  return counts
}

let isInterrupted = false
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => (isInterrupted = true))

const tests = findTests(process.argv.slice(2))
const changes = findChanges()
const omissions = await prepare(tests)
const { passed, failed } = await runTests(tests, omissions)

if (tests.length === 0) console.log('no test in test/real has such a name or needs such a component')
let failures = failed + (isInterrupted || tests.length === 0 ? 1 : 0)
for (const { file, needs } of tests) {
  const missing = needs.filter((name) => omissions.has(name))
  if (missing.length === 0) continue
  const isFailure = missing.some((name) => omissions.get(name)?.isFailure)
  if (isFailure) failures += 1
  const reasons = missing.map((name) => `${name}: ${omissions.get(name)?.why}`).join('; ')
  console.log(`NOT RUN ${file} (${reasons})${isFailure ? ', a failure' : ''}`)
}
console.log(`${passed} passed, ${failures} failed`)
process.exitCode = failures === 0 ? 0 : 1
