import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createScreen, toSvg, type Recording } from './terminal-svg.ts'

// Makes docs/pictures/ from the real thing: two terminals (pseudo-terminals by script(1)) and, where a Chromium is
// named in CHROMIUM or ROOST_KIT_CHROMIUM, a picture of /docs. See docs/pictures/README.md.

const root = join(import.meta.dirname, '..')
const columns = 100
const home = mkdtempSync(join(tmpdir(), 'demo-'))
const dataDir = join(home, '.local', 'share', 'roost')
const began = performance.now()
const children: ChildProcess[] = []

/** Runs a shell script in a pseudo-terminal and keeps what it shows, with the time. */
function record(
  title: string,
  rows: number,
  script: string
): { recording: Recording; ended: Promise<unknown> } {
  const screen = createScreen(columns, rows)
  const recording: Recording = { title, rows, columns, shots: [{ at: 0, lines: screen.lines() }] }
  const file = join(home, `${rows}.sh`)
  writeFileSync(
    file,
    `stty cols ${columns} rows ${rows}\nshow() { printf '\\033[1;32m$\\033[0m %s\\n' "$*"; }\n${script}`
  )
  const { ROOST_DATA_DIR: _dataDir, ROOST_CACHE_DIR, ...env } = process.env
  const child = spawn('script', ['-qfec', `sh ${file}`, '/dev/null'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...env,
      HOME: home,
      ROOST_CACHE_DIR: ROOST_CACHE_DIR ?? join(process.env['HOME'] ?? '/', '.cache', 'roost'),
      TERM: 'xterm-256color',
      JOBS: join(home, 'jobs.ndjson')
    }
  })
  children.push(child)
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    screen.write(text)
    recording.shots.push({ at: performance.now() - began, lines: screen.lines() })
  })
  return { recording, ended: once(child, 'exit') }
}

async function until(what: string, isThere: () => boolean): Promise<void> {
  for (let i = 0; i < 300; i++) {
    if (isThere()) return
    await sleep(50)
  }
  throw new Error(`${what} did not come in 15 s`)
}

const service = (): { url: string; pid: number } =>
  JSON.parse(readFileSync(join(dataDir, 'service.json'), 'utf8')) as { url: string; pid: number }
const isUp = () => existsSync(join(dataDir, 'service.json'))

const jobs = Array.from({ length: 60 }, (_, i) =>
  JSON.stringify(['sh', '-c', `sleep 0.6; echo page ${i + 1}; exit ${i === 40 ? 3 : 0}`])
)
writeFileSync(join(home, 'jobs.ndjson'), `${jobs.join('\n')}\n`)

const upper = record(
  'one terminal: the service, which is killed (kill -9) in the middle of a job',
  10,
  `
show ./roost up --log-level warn
./roost up --log-level warn || :
show ./roost up --log-level warn
exec ./roost up --log-level warn
`
)
try {
  await until('the service', isUp)
  const counting = 'for n in 1 2 3 4 5 6 7; do echo "step $n"; sleep 0.5; done'
  const lower = record(
    'another: the command',
    26,
    `
show ./roost run -- echo hi
./roost run -- echo hi
sleep 1
show "./roost run -- sh -c '${counting.replaceAll('"', '\\"').replaceAll('$', '\\$')}'"
: >${home}/go
./roost run -- sh -c '${counting}'
sleep 1.5
show "./roost run --from jobs.ndjson"
./roost run --from "$JOBS"
sleep 2
show "./roost plan --gpu 1 -- python train.py"
./roost plan --gpu 1 -- python train.py
`
  )
  await until('the second job', () => existsSync(join(home, 'go')))
  await until('its third step', () =>
    lower.recording.shots.at(-1)!.lines.some((line) => line.some(({ text }) => text.startsWith('step 3')))
  )
  const { pid } = service()
  process.kill(pid, 'SIGKILL')
  await until('the next service', () => service().pid !== pid)
  await lower.ended
  writeFileSync(join(root, 'docs/pictures/terminal.svg'), toSvg([upper.recording, lower.recording]))
  await photograph()
} finally {
  if (isUp()) process.kill(service().pid, 'SIGTERM')
  await Promise.all(children.filter(({ exitCode }) => exitCode === null).map((child) => once(child, 'exit')))
  rmSync(home, { recursive: true, force: true })
}

/** /docs as a browser shows it. */
async function photograph(): Promise<void> {
  const chromium = process.env['CHROMIUM'] ?? process.env['ROOST_KIT_CHROMIUM']
  if (chromium === undefined) {
    console.log('docs.png stays as it is: name a Chromium in CHROMIUM')
    return
  }
  const file = join(root, 'docs/pictures/docs.png')
  const { status } = spawnSync(
    chromium,
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--hide-scrollbars',
      `--user-data-dir=${join(home, 'chromium')}`,
      '--window-size=1000,760',
      '--virtual-time-budget=8000',
      `--screenshot=${file}`,
      `${service().url}/docs`
    ],
    { stdio: 'ignore', timeout: 60_000 }
  )
  if (status !== 0) throw new Error(`${chromium} ended with ${String(status)}`)
  console.log(`docs.png  ${statSync(file).size} bytes`)
}
