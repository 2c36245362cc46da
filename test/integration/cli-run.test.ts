import t from 'tap'
import { runCli, startCli } from '../start-cli.ts'
import { startServiceFor } from '../start-service.ts'

const service = await startServiceFor(t)
const { dataDir } = service
const roost = (...args: string[]) => runCli(args, { dataDir })
const sh = (script: string) => ['--', 'sh', '-c', script]
const jobOf = async (id: string) =>
  JSON.parse((await roost('get', id, '--json')).stdout) as {
    state: string
    result: { exitCode: number } | null
    spec: { env?: object; task: { cwd?: string } }
  }

await t.test(
  'a job is run here: its output, its error output and its exit code are those of the command',
  async (t) => {
    const folder = t.testdir()
    const ended = await runCli(['run', ...sh('pwd; echo wrong >&2; printf "\\377\\000x"; exit 7')], {
      dataDir,
      cwd: folder
    })
    t.equal(ended.code, 7)
    t.equal(ended.stderr, 'wrong\n')
    const cli = startCli(['run', ...sh('printf "\\377\\000x"')], { dataDir })
    t.equal((await cli.ended).code, 0)
    t.same(cli.stdout(), Buffer.from([0xff, 0, 0x78]), 'bytes come through as they are')
    t.match(ended.stdout, folder)
  }
)

await t.test('nothing of the environment goes along but what is named', async (t) => {
  const { stdout } = await runCli(
    ['run', '--env', 'MINE', '--env', 'K=v', ...sh('echo "$MINE $K ${THEIRS-unset}"')],
    { dataDir, env: { MINE: 'mine', THEIRS: 'theirs' } }
  )
  t.equal(stdout, 'mine v unset\n')
})

await t.test('--stdin gives the job what the command reads', async (t) => {
  t.match(await runCli(['run', '--stdin', '-', '--', 'cat'], { dataDir, input: 'täxt\n' }), {
    code: 0,
    stdout: 'täxt\n'
  })
})

await t.test('ends have codes of their own', async (t) => {
  const [killed, timedOut, unknown] = await Promise.all([
    roost('run', ...sh('kill -9 $$')),
    roost('run', '--timeout', '0.2', '--', 'sleep', '600'),
    roost('run', '--', '/no/such/program')
  ])
  t.equal(killed.code, 137)
  t.match(killed.stderr, /SIGKILL/)
  t.equal(timedOut.code, 124)
  t.match(timedOut.stderr, /longer than/)
  t.not(unknown.code, 0)
  t.match(unknown.stderr, /no\/such\/program/)
})

await t.test('a refused job is told field by field', async (t) => {
  const ended = await roost('run', '--name', 'Not A Label', '--cpu', 'many', '--', 'true')
  t.equal(ended.code, 64)
  t.match(ended.stderr, /\/name must match[^]*\/resources\/cpu must match/)
  const asJson = await roost('run', '--json', '--name', 'Not A Label', '--', 'true')
  t.match(JSON.parse(asJson.stderr), { status: 422, code: 'invalid', errors: [{ pointer: '/name' }] })
  const never = await roost('run', '--gpu', '64', '--', 'true')
  t.match(never, { code: 64, stderr: /64 GPUs/ })
  t.equal(never.stderr.split('could ever run this job').length, 2, 'it is said once')
})

await t.test('--json gives the job, then the frames of its log', async (t) => {
  const { stdout, code } = await roost('run', '--json', ...sh('echo hi; exit 2'))
  const [job, ...frames] = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { id?: string; seq: number; type: string })
  t.match(job, { id: /^[0-9a-z]{26}$/, state: 'queued' })
  t.same(
    frames.map(({ seq }) => seq),
    frames.map((_, i) => i + 1)
  )
  t.match(
    frames.find(({ type }) => type === 'log'),
    { stream: 'stdout', text: 'hi\n' }
  )
  t.match(frames.at(-1), { type: 'error', exitCode: 2 })
  t.equal(code, 2)
})

await t.test('Ctrl-C leaves the job and says how to come back; --rm cancels it', async (t) => {
  const left = startCli(['run', ...sh('echo on; sleep 600')], { dataDir })
  await left.until((out) => out === 'on\n')
  left.child.kill('SIGINT')
  const ended = await left.ended
  t.equal(ended.code, 130)
  const id = /roost logs -f (\S+)/.exec(ended.stderr)![1]!
  t.match(ended.stderr, `roost cancel ${id}`)
  t.match(await jobOf(id), { state: 'running' })
  t.match(await roost('cancel', id), { code: 0 })
  t.equal((await roost('wait', id)).code, 130)

  const cancelled = startCli(['run', '--rm', ...sh('echo on; sleep 600')], { dataDir })
  await cancelled.until((out) => out === 'on\n')
  cancelled.child.kill('SIGINT')
  t.match(await cancelled.ended, { code: 130, stderr: /was cancelled/ })
})

await t.test('a reader that goes away ends the command without a word', async (t) => {
  const cli = startCli(['run', ...sh('while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done')], { dataDir })
  await cli.until((out) => out.length > 0)
  cli.child.stdout.destroy()
  t.match(await cli.ended, { code: 141, stderr: '' })
  const running = await roost('ps', '-q')
  t.equal((await roost('cancel', ...running.stdout.trim().split('\n'))).code, 0)
})

await t.test('--detach prints the id; logs and wait take it up', async (t) => {
  const { stdout, code } = await roost('run', '--detach', '--name', 'left-alone', ...sh('seq 1 100; exit 5'))
  t.equal(code, 0)
  const id = stdout.trim()
  t.equal((await roost('wait', id)).code, 5)
  const all = Array.from({ length: 100 }, (_, i) => `${i + 1}\n`)
  t.match(await roost('logs', id), { code: 0, stdout: all.join(''), stderr: '' })
  t.match(await roost('logs', '-f', 'left-alone'), { code: 0, stdout: all.join('') }, 'a name will do')
  t.equal((await roost('logs', '--tail', '3', id)).stdout, all.slice(-3).join(''))
  t.equal((await roost('logs', '--tail', '1000', id)).stdout, all.join(''))
  t.equal((await roost('logs', '--attempt', '2', id)).stdout, '')
  t.match(await roost('logs', '--from', '9999', id), { code: 0, stdout: '' })
})

await t.test('the same idempotency key is the same job', async (t) => {
  const key = ['run', '--detach', '--idempotency-key', 'once', '--', 'true']
  t.equal((await roost(...key)).stdout, (await roost(...key)).stdout)
  t.match(await roost('run', '--detach', '--idempotency-key', 'once', '--', 'false'), {
    code: 64,
    stderr: /another body/
  })
})
