import { execFile } from 'node:child_process'
import { copyFile, glob, mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const execute = promisify(execFile)
const packages = fileURLToPath(new URL('../node_modules', import.meta.url))

/** One job's input and what it must print. */
export interface Input {
  file: string
  /** `<sha256 of the file as gzip -n -9 packs it>  -\n<bytes of the file>\n` */
  expected: string
}

/** What each job does to its file, and what is done directly to know the result: the same programs, without Roost. */
export const work = 'gzip -n -9 -c "$1" | sha256sum; wc -c <"$1"'

/** One in so many inputs is a large file, which takes gzip a second or so: those are at work when the service dies. */
const largeEvery = 10

/** Copies real files (documentation of the installed packages, and some large sources) into `folder`. */
export async function gatherInputs(folder: string, count: number): Promise<Input[]> {
  const documents = await sizesOf('**/{README,CHANGELOG,HISTORY,readme,changelog,History}*.md')
  const large = (
    await sizesOf(
      '{typescript/lib,better-sqlite3/deps/sqlite3,undici,prismjs,fast-check/lib}/**/*.{js,c,h,ts}'
    )
  ).filter(({ bytes }) => bytes > 1_000_000)
  if (documents.length === 0 || large.length === 0)
    throw new Error(`No files to work on under ${packages}; run npm ci`)
  await mkdir(folder)
  const inputs: Input[] = []
  const chosen = Array.from({ length: count }, (_, index) => {
    const from = index % largeEvery === 0 ? large : documents
    return from[Math.floor(index / (from === large ? largeEvery : 1)) % from.length]
  })
  const known = new Map<string, Promise<string>>()
  for (const [index, source] of chosen.entries()) {
    if (source === undefined) continue
    const file = join(folder, `${String(index).padStart(4, '0')}.txt`)
    await copyFile(source.path, file)
    let expected = known.get(source.path)
    if (expected === undefined) known.set(source.path, (expected = workDirectly(file)))
    inputs.push({ file, expected: await expected })
  }
  return inputs
}

async function workDirectly(file: string): Promise<string> {
  return (await execute('sh', ['-c', work, 'direct', file])).stdout
}

async function sizesOf(pattern: string): Promise<{ path: string; bytes: number }[]> {
  const found: { path: string; bytes: number }[] = []
  for await (const name of glob(pattern, { cwd: packages })) {
    const path = join(packages, name)
    const { size, isFile } = await stat(path).then((stats) => ({ size: stats.size, isFile: stats.isFile() }))
    if (isFile && size > 0) found.push({ path, bytes: size })
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1))
}
