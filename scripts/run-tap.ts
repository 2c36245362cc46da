import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** How many assertions passed and failed. A file that fails without a failed assertion counts as one failure. */
export type TestCounts = { passed: number; failed: number }

export const root = fileURLToPath(new URL('..', import.meta.url))
const tap = join(root, 'node_modules/tap/dist/esm/run.mjs')
const compileCache = join(root, 'node_modules/.cache/roost-compile')

/**
 * Runs test files through tap, from the repository's root. A terminal gets tap's own report; a log gets one line
 * per file, and every failure in full.
 *
 * @param args test files and options of `tap run`; none means the files that package.json includes
 * @param environment variables of the tests, instead of this process's
 */
export const runTap = async (args: string[], environment = process.env): Promise<TestCounts> => {
  await buildTap()
  const folder = await mkdtemp(join(tmpdir(), 'roost-tap-'))
  try {
    const recordFile = join(folder, 'all.tap')
    const isTerminal = process.stdout.isTTY
    const report = isTerminal ? ['--reporter=terse', `--output-file=${recordFile}`] : ['--reporter=tap']
    const child = spawn(process.execPath, [tap, 'run', ...report, ...args], {
      cwd: root,
      // What the files share is compiled once.
      env: { NODE_COMPILE_CACHE: compileCache, ...environment },
      stdio: ['ignore', isTerminal ? 'inherit' : 'pipe', 'inherit']
    })
    const ended = once(child, 'close')
    let record = ''
    if (child.stdout !== null) {
      const isWanted = createFilter()
      for await (const line of createInterface({ input: child.stdout })) {
        record += `${line}\n`
        if (isWanted(line)) console.log(line)
      }
    }
    const [exitCode] = await ended
    if (isTerminal) record = await readFile(recordFile, 'utf8').catch(() => '')
    return countTests(record, exitCode === 0)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Reads tap's closing line, such as `# { total: 11, pass: 5, fail: 3, todo: 1, skip: 2 }`. */
export const countTests = (record: string, isSuccess: boolean): TestCounts => {
  const totals = [...record.matchAll(/^# \{ total: .*\}$/gm)].at(-1)?.[0] ?? ''
  const count = (word: string) => Number(new RegExp(`\\b${word}: (\\d+)`).exec(totals)?.[1] ?? 0)
  const failed = count('fail')
  return { passed: count('pass'), failed: isSuccess ? failed : Math.max(failed, 1) }
}

/** Says of each line of a TAP stream whether a reader of a log wants it: files, skips, and failures in full. */
export const createFilter = () => {
  let diagnosis: string | undefined // the indent of the failure whose explanation is passing
  let lastFailure = ''
  return (line: string): boolean => {
    if (diagnosis !== undefined && (line === '' || line.startsWith(`${diagnosis}  `))) return true
    diagnosis = undefined
    const [, indent = '', verdict] = /^( *)(ok|not ok)\b/.exec(line) ?? []
    if (verdict === undefined) return false
    if (verdict === 'ok' || / # (TODO|SKIP)\b/i.test(line)) return indent === '' || / # SKIP\b/i.test(line)
    // What failed because of a test inside it has nothing of its own to explain.
    if (indent.length >= lastFailure.length) diagnosis = indent
    lastFailure = indent
    return true
  }
}

// tap compiles itself for the plugins that package.json names. Left to the first run, that run would still load
// the old set, which transpiles with TypeScript.
const buildTap = async (): Promise<void> => {
  const built = await readFile(join(root, 'node_modules/@tapjs/test/test-built/dist/esm/index.js'), 'utf8')
  if (!built.includes('@tapjs/typescript')) return
  const [exitCode] = await once(
    spawn(process.execPath, [tap, 'build'], { cwd: root, stdio: 'inherit' }),
    'exit'
  )
  if (exitCode !== 0) throw new Error('tap could not build itself for the plugins of package.json')
}
