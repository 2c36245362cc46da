import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { WebSocket } from 'ws'
import { asAdmin, build, testToken } from '../build.ts'
import { processesOf } from '../start-service.ts'
import { createFakeRuntime } from '../fake-runtime.ts'
import { runCli } from '../start-cli.ts'

/** Words that look like nothing in particular: that none of them gets out is not the work of a pattern. */
const canaries = {
  adminToken: testToken,
  storedSecret: 'kanarie-stored-4c1f',
  fileSecret: 'kanarie-file-9b02',
  envSecret: 'kanarie-environment-77de',
  bearer: 'kanarie-bearer-51aa',
  malformedHeader: 'kanarie-malformed-20c9',
  subprotocol: 'kanarie-subprotocol-e4e4',
  query: 'kanarie-query-0f6b',
  brokenBody: 'kanarie-broken-3d18',
  invalidBody: 'kanarie-invalid-8f55',
  brokenHeader: 'kanarie-header-6a6a',
  databasePassword: 'kanarie-database-d00d',
  jwt: `eyJhbGciOiJFZERTQSJ9.${Buffer.from('{"iss":"kanarie","sub":"kanarie"}').toString('base64url')}.a2FuYXJpZQ`
}

type Outs = Record<string, string[]>

/** Each canary that got out, and where. */
function escaped(outs: Outs, values: Record<string, string>): string[] {
  return Object.entries(outs).flatMap(([out, texts]) =>
    texts.flatMap((text) =>
      Object.entries(values)
        .filter(
          ([, value]) => text.includes(value) || text.includes(Buffer.from(value).toString('base64url'))
        )
        .map(([name]) => `${name} in ${out}: ${text.slice(0, 300)}`)
    )
  )
}

await t.test(
  'no secret gets out: logs, problems, frames, audit, metrics, health, processes, files',
  async (t) => {
    const folder = t.testdir({ data: {}, secrets: { 'from-file': canaries.fileSecret } })
    const dataDir = join(folder, 'data')
    const secretsDir = join(folder, 'secrets')
    process.env['ROOST_SECRET_FROM_ENVIRONMENT'] = canaries.envSecret
    t.teardown(() => delete process.env['ROOST_SECRET_FROM_ENVIRONMENT'])
    const fake = createFakeRuntime()
    const { start } = fake.runtime
    fake.runtime.start = async (order) => {
      if (order.attempt > 1) return await start(order)
      throw new Error(`a runtime said: ${order.env['A']} is in ${JSON.stringify(order.env)}`)
    }
    const app = await build(
      t,
      { dataDir, secretsDir, process: 'on', logLevel: 'trace' },
      { runtimes: [fake.runtime] }
    )
    app.get('/throws', { config: { public: true } }, async () => {
      throw new Error(`a driver said: password of ${canaries.adminToken}`, {
        cause: new Error(`connect postgres://roost:${canaries.databasePassword}@db.example/roost`)
      })
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.server.address() as { port: number }
    const outs: Outs = { logs: app.logLines, answers: [], frames: [], audit: [], metrics: [], health: [] }
    const base = `http://127.0.0.1:${port}`
    const admin = { authorization: asAdmin.authorization }
    const json = { ...admin, 'content-type': 'application/json' }

    async function ask(
      path: string,
      init: { method?: string; headers?: Record<string, string>; body?: string } = {}
    ) {
      const response = await fetch(`${base}${path}`, init)
      const text = await response.text()
      outs['answers']!.push(JSON.stringify([...response.headers]), text)
      return { status: response.status, text }
    }

    // Secrets of every source, in a job that does not print them, and one that fails to start.
    t.equal(
      (
        await ask('/v1/secrets/stored', {
          method: 'PUT',
          headers: json,
          body: JSON.stringify({ value: canaries.storedSecret })
        })
      ).status,
      204
    )
    const made = await fetch(`${base}/v1/tokens`, {
      method: 'POST',
      headers: json,
      body: JSON.stringify({ name: 'kept', scopes: ['read:jobs'] })
    })
    const createdToken = ((await made.json()) as { token: string }).token
    const values = { ...canaries, createdToken }
    const secrets = { A: 'stored', B: 'from-file', C: 'from-environment' }
    const submit = async (command: string[], more: object = {}) => {
      const { status, text } = await ask('/schedule', {
        method: 'POST',
        headers: json,
        body: JSON.stringify({ task: { type: 'process', command }, secrets, ...more })
      })
      t.equal(status, 202, text)
      return (JSON.parse(text) as { id: string }).id
    }
    const running = await submit([
      'sh',
      '-c',
      'test -n "$A" -a -n "$B" -a -n "$C" && echo ready; mkfifo go; read line < go'
    ])
    await submit(['/no/such/program'])
    await submit(['sh', '-c', 'exit 1'], { secrets: { A: 'missing' } })
    const quick = { backoffSeconds: 0, maxBackoffSeconds: 0 }
    const broken = await submit([], { task: { type: 'test/fake' }, retry: quick })
    const told = await ask(`/v1/jobs/${broken}/events`, { headers: admin })
    t.match(told.text, /a runtime said: \[redacted\] is in/)
    t.match(outs['logs']!.join(''), /a runtime said: \[redacted\] is in/)
    const events = await fetch(`${base}/v1/jobs/${running}/events`, { headers: admin })
    for await (const chunk of events.body!) {
      outs['frames']!.push(Buffer.from(chunk).toString())
      if (outs['frames']!.join('').includes('ready')) break
    }

    // Every way to be refused.
    await ask('/v1/jobs', { headers: { authorization: `Bearer ${canaries.bearer}` } })
    await ask('/v1/jobs', { headers: { authorization: `Bearer ${canaries.jwt}` } })
    await ask('/v1/jobs', { headers: { authorization: `Bearer ${createdToken}x` } })
    await ask('/v1/jobs', { headers: { authorization: `Basic ${canaries.malformedHeader}` } })
    await ask('/v1/jobs', { headers: { authorization: `${canaries.malformedHeader} two words` } })
    await ask('/v1/tokens', { headers: { authorization: `Bearer ${createdToken}` } })
    await ask(`/v1/jobs?token=${canaries.query}`, { headers: admin })
    await ask(`/livez?access_token=${canaries.query}`)
    await ask(`/nowhere?token=${canaries.query}`, { headers: admin })
    await ask('/throws')
    const bodies = [
      `{"value": "${canaries.brokenBody}`,
      `{"value": ${canaries.brokenBody}}`,
      `${canaries.brokenBody}`,
      `{"value": "${canaries.brokenBody}" "x"}`,
      JSON.stringify({ value: canaries.invalidBody.padEnd(200_000, 'x') }),
      JSON.stringify({ value: [canaries.invalidBody] }),
      JSON.stringify({ value: `${canaries.invalidBody}\0` })
    ]
    for (const body of bodies) {
      const { status } = await ask('/v1/secrets/other', { method: 'PUT', headers: json, body })
      t.ok(status === 400 || status === 422, `${status} for ${body.slice(0, 60)}`)
    }
    await ask('/v1/secrets/other', {
      method: 'PUT',
      headers: { ...admin, 'content-type': 'text/plain' },
      body: canaries.brokenBody
    })
    outs['answers']!.push(
      await raw(
        port,
        `GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${canaries.brokenHeader}\x01\r\n\r\n`
      ),
      await raw(
        port,
        `GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\nBad Header: ${canaries.brokenHeader}\r\n\r\n`
      ),
      await raw(port, `${canaries.brokenHeader}\r\n\r\n`),
      await raw(
        port,
        `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${canaries.brokenHeader.repeat(2_000)}\r\n\r\n`
      )
    )
    for (const token of [canaries.subprotocol, testToken]) {
      const protocols = ['roost.stream.v1', `roost.bearer.${Buffer.from(token).toString('base64url')}`]
      const socket = new WebSocket(`ws://127.0.0.1:${port}/stream/${running}`, protocols)
      socket.on('message', (message: Buffer) => outs['frames']!.push(message.toString()))
      socket.on('upgrade', (response) => outs['answers']!.push(JSON.stringify(response.headers)))
      socket.on('unexpected-response', (_request, response) => {
        response.on('data', (chunk: Buffer) => outs['answers']!.push(chunk.toString()))
        response.on('end', () => socket.emit('close'))
      })
      socket.on('error', () => {})
      if (token === testToken) {
        await once(socket, 'message')
        socket.close()
      }
      await once(socket, 'close')
    }

    // What can be asked for.
    for (const [out, path] of Object.entries({
      audit: '/v1/audit?limit=1000',
      metrics: '/metrics',
      health: '/health'
    }))
      outs[out]!.push((await ask(path, { headers: admin })).text)
    for (const path of [
      '/v1/jobs',
      '/v1/queue',
      '/pods',
      '/v1/nodes',
      '/v1/tokens',
      '/v1/secrets',
      '/readyz?verbose'
    ])
      await ask(path, { headers: admin })

    // Processes: the job itself has its secrets, nobody else has them, and no command line.
    const own = new Set(['A', 'B', 'C'])
    outs['commandLines'] = []
    outs['environments'] = []
    let jobs = 0
    for (const pid of processesOf(dataDir)) {
      outs['commandLines'].push(read(`/proc/${pid}/cmdline`))
      const variables = read(`/proc/${pid}/environ`).split('\0')
      const isJob = variables.some((variable) => variable.startsWith('ROOST_JOB_ID='))
      if (isJob) jobs++
      outs['environments'].push(
        ...variables.filter((variable) => !isJob || !own.has(variable.split('=')[0]!))
      )
    }
    t.ok(jobs > 0, 'the job still runs')

    const files = readdirSync(dataDir, { recursive: true, withFileTypes: true }).filter((file) =>
      file.isFile()
    )
    t.ok(files.length > 3)
    outs['files'] = files.map((file) => readFileSync(join(file.parentPath, file.name), 'latin1'))

    await ask(`/v1/jobs/${running}`, { method: 'DELETE', headers: admin })
    t.ok(outs['logs']!.join('').includes('request failed'), 'the fault was logged')
    t.match(outs['logs']!.join(''), /\[redacted\]/)
    for (const [out, texts] of Object.entries(outs))
      t.ok(texts.join('').length > 0, `there is something in ${out}`)
    t.same(escaped(outs, values), [])
  }
)

await t.test('neither does a start that is refused, nor roost config', async (t) => {
  const dataDir = t.testdir()
  const env = {
    ROOST_TOKEN: canaries.adminToken,
    ROOST_DATABASE_URL: `postgres://roost:${canaries.databasePassword}@127.0.0.1:1/roost`
  }
  const shown = await runCli(['config'], { dataDir, env })
  const shownJson = await runCli(['config', '--json'], { dataDir, env })
  const refused = await runCli(['up', '--port', '0'], { dataDir, env })
  const mistyped = await runCli(['up', '--port', '0'], {
    dataDir,
    env: {
      ROOST_TOKEN: 'short kanarie',
      ROOST_DATABASE_URL: `mysql://roost:${canaries.databasePassword}@x/y`
    }
  })
  t.equal(shown.code, 0)
  t.not(refused.code, 0)
  t.not(mistyped.code, 0)
  const texts = [shown, shownJson, refused, mistyped].flatMap(({ stdout, stderr }) => [stdout, stderr])
  t.same(escaped({ command: texts }, { ...canaries, short: 'short kanarie' }), [])
})

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // It ended while we looked.
    return ''
  }
}

/** Sends bytes as they are and resolves with the answer once the connection is over. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(bytes, 'latin1')
  let answer = ''
  socket.on('data', (chunk) => (answer += chunk.toString('latin1')))
  socket.on('error', () => {})
  await once(socket, 'close')
  return answer
}
