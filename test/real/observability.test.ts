// kit: tools
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { startServiceFor, type Service } from '../start-service.ts'

const run = promisify(execFile)
const promtool = process.env['ROOST_KIT_PROMTOOL'] ?? ''
const prometheus = process.env['ROOST_KIT_PROMETHEUS'] ?? ''
const deploy = fileURLToPath(new URL('../../deploy/prometheus', import.meta.url))

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

const metricsOf = async (service: Service): Promise<string> =>
  await (
    await fetch(`${service.url}/metrics`, { headers: { authorization: `Bearer ${service.token}` } })
  ).text()

await t.test('promtool accepts the rules, their tests, the configuration and the metrics', async (t) => {
  await run(promtool, ['check', 'rules', join(deploy, 'roost.rules.yml')])
  await run(promtool, ['check', 'config', join(deploy, 'prometheus.yml')])
  const { stdout } = await run(promtool, ['test', 'rules', join(deploy, 'roost.rules.test.yml')])
  t.match(stdout, /SUCCESS/)

  const service = await startServiceFor(t)
  await submit(service, 'echo hello')
  const file = join(t.testdir(), 'metrics')
  await writeFile(file, await metricsOf(service))
  const { stderr } = await run('sh', ['-c', '"$1" check metrics < "$2"', 'sh', promtool, file])
  t.equal(stderr, '', 'not even a remark')
})

await t.test(
  'a real Prometheus scrapes a node, and an alert fires and is over',
  { timeout: 90_000 },
  async (t) => {
    const metricsPort = await freePort()
    const service = await startServiceFor(t, { env: { ROOST_METRICS_PORT: String(metricsPort) } })
    const server = await startPrometheus(t, metricsPort)
    await server.until('up{job="roost"} == 1', 'a scrape of the node')
    await submit(service, 'echo hello')
    await server.until('sum(roost_jobs_finished_total{state="succeeded"}) == 1', 'the job of the node')
    await server.until('roost_job_schedule_to_start_seconds_count == 1', 'its start')

    await call(service, '/v1/nodes/local/drain')
    await server.until('ALERTS{alertname="RoostDrainForgotten", alertstate="firing"}', 'the alert of a drain')
    await call(service, '/v1/nodes/local/undrain')
    await server.until('absent(ALERTS{alertname="RoostDrainForgotten"})', 'the end of that alert')

    await service.kill('SIGKILL')
    await server.until('ALERTS{alertname="RoostDown", alertstate="firing"}', 'the alert of a dead node')
    await service.restart()
    await server.until('absent(ALERTS{alertname="RoostDown"})', 'the end of that alert')
  }
)

await t.test(
  'ten thousand odd requests add nothing to the labels of the metrics',
  { timeout: 90_000 },
  async (t) => {
    const service = await startServiceFor(t, { env: { ROOST_LOG_LEVEL: 'silent' } })
    // Enough for everything that these requests can come to, the refusal of one who guesses tokens among it.
    await flood(service, 2_000)
    const before = seriesOf(await metricsOf(service))
    await flood(service, 10_000)
    const after = seriesOf(await metricsOf(service))
    t.ok(before.length > 100)
    t.same(after, before)
    t.notMatch(after.join('\n'), /odd-/)
  }
)

/** Paths, methods, tokens, tenants, names and codes that no two requests share, over a few connections. */
async function flood(service: Service, requests: number): Promise<void> {
  const kinds: ((i: number) => string)[] = [
    (i) => request('GET', `/odd-${i}`, service),
    (i) => request('GET', `/v1/jobs/odd-${i}`, service),
    (i) => request('GET', `/v1/jobs?state=odd-${i}`, service),
    (i) => request('PROPFIND', `/v1/jobs/odd-${i}`, service),
    (i) => request('GET', '/v1/jobs', { ...service, token: `odd-${i}` }),
    (i) => request('GET', '/v1/jobs', service, { host: `odd-${i}.example` }),
    (i) => request('GET', '/v1/jobs', service, { origin: `https://odd-${i}.example` }),
    (i) => request('GET', `/stream/odd-${i}`, service),
    (i) => request('POST', '/schedule', service, {}, JSON.stringify({ task: { type: `odd-${i}/kind` } })),
    (i) => request('POST', '/schedule', service, { 'content-type': `text/odd-${i}` }, 'odd')
  ]
  const connections = 10
  await Promise.all(
    Array.from({ length: connections }, async (_, connection) => {
      const socket = connect(service.port, '127.0.0.1')
      let answered = 0
      const share = requests / connections
      const all = new Promise<void>((resolve, reject) => {
        let rest = ''
        socket.on('data', (chunk) => {
          rest += chunk.toString('latin1')
          answered += rest.match(/HTTP\/1\.1 \d{3}/g)?.length ?? 0
          // Shorter than what is counted, so that nothing is counted twice.
          rest = rest.slice(-11)
          if (answered >= share) resolve()
        })
        socket.on('error', reject)
        socket.on('close', () => reject(new Error(`closed after ${answered} of ${share} answers`)))
      })
      for (let i = 0; i < share; i++) socket.write(kinds[i % kinds.length]!(connection * requests + i))
      await all
      socket.removeAllListeners('close')
      socket.destroy()
    })
  )
}

function request(
  method: string,
  path: string,
  { token }: { token: string },
  headers: Record<string, string> = {},
  body = ''
): string {
  const all = {
    host: 'localhost',
    authorization: `Bearer ${token}`,
    ...(body === '' ? {} : { 'content-type': 'application/json', 'content-length': String(body.length) }),
    ...headers
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`
}

/** The names and labels of all samples. The scrape is a request too, counted after it is answered. */
function seriesOf(exposition: string): string[] {
  return exposition
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.slice(0, line.lastIndexOf(' ')))
    .filter((series) => !series.includes('route="/metrics"'))
    .sort()
}

async function call(service: Service, path: string, body?: object): Promise<Response> {
  return await fetch(`${service.url}${path}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${service.token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' })
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
}

/** Runs a job to its end. */
async function submit(service: Service, script: string): Promise<void> {
  const accepted = await call(service, '/schedule', {
    task: { type: 'process', command: ['sh', '-c', script] }
  })
  const { id } = (await accepted.json()) as { id: string }
  await (
    await fetch(`${service.url}/v1/jobs/${id}/events`, {
      headers: { authorization: `Bearer ${service.token}` }
    })
  ).text()
}

/** The kit's Prometheus with the project's own rules, whose waiting times are cut to a second. */
async function startPrometheus(t: Test, metricsPort: number) {
  const folder = await mkdtemp(join(tmpdir(), 'roost-prometheus-'))
  const rules = await readFile(join(deploy, 'roost.rules.yml'), 'utf8')
  await writeFile(join(folder, 'roost.rules.yml'), rules.replaceAll(/for: \w+/g, 'for: 1s'))
  const config = await readFile(join(deploy, 'prometheus.yml'), 'utf8')
  await writeFile(
    join(folder, 'prometheus.yml'),
    config.replaceAll('15s', '500ms').replace('127.0.0.1:9464', `127.0.0.1:${metricsPort}`)
  )
  const port = await freePort()
  const child = spawn(
    prometheus,
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] }
  )
  t.teardown(async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    await rm(folder, { recursive: true, force: true })
  })
  const log: string[] = []
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      log.push(line)
      if (line.includes('Server is ready to receive web requests')) resolve()
    })
    child.once('exit', () => reject(new Error(`Prometheus ended:\n${log.slice(-10).join('\n')}`)))
  })
  return {
    /** Until the query has a result: Prometheus tells nobody, so it is asked once for each of its scrapes. */
    async until(query: string, what: string): Promise<void> {
      for (let asked = 0; asked < 60; asked++) {
        const answer = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`)
        const { data } = (await answer.json()) as { data: { result: unknown[] } }
        if (data.result.length > 0) {
          t.pass(what)
          return
        }
        await new Promise((resolve) => setTimeout(resolve, 500))
      }
      t.fail(`Prometheus never had ${what}: ${query}\n${log.slice(-5).join('\n')}`)
    }
  }
}
