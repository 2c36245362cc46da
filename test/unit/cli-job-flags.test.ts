import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t from 'tap'
import { parseConstraint, readSpec, type JobValues } from '../../src/cli/job-flags.ts'

const around = {
  env: { LANG: 'C' },
  stdin: Readable.from(['from stdin']) as unknown as NodeJS.ReadStream,
  cwd: '/here',
  isLocal: true
}
const read = (values: JobValues, command: string[] = ['true'], over: Partial<typeof around> = {}) =>
  readSpec(values, command, { ...around, ...over })

await t.test('every flag has its place in the job', async (t) => {
  const spec = await read(
    {
      name: 'x',
      env: ['A=1', 'LANG'],
      secret: ['TOKEN=api-key', 'OTHER'],
      cpu: '500m',
      memory: '1Gi',
      gpu: '1',
      'limit-memory': '2Gi',
      label: ['team=a'],
      constraint: ['arch=amd64,arm64', '!slow'],
      node: 'box',
      locality: 'any',
      priority: '70',
      preemptible: true,
      timeout: '2h',
      retries: '2',
      'on-node-loss': 'restart',
      'depends-on': ['a,b', 'c'],
      ttl: '1d'
    },
    ['sh', '-c', 'x']
  )
  t.same(spec, {
    name: 'x',
    task: { type: 'process', command: ['sh', '-c', 'x'], cwd: '/here' },
    env: { A: '1', LANG: 'C' },
    secrets: { TOKEN: 'api-key', OTHER: 'OTHER' },
    resources: { cpu: '500m', memory: '1Gi', gpu: 1 },
    limits: { memory: '2Gi' },
    labels: { team: 'a' },
    constraints: [
      { key: 'arch', operator: 'In', values: ['amd64', 'arm64'] },
      { key: 'slow', operator: 'DoesNotExist' }
    ],
    placement: { node: 'box', locality: 'any' },
    priority: 70,
    preemptible: true,
    timeoutSeconds: 7200,
    retry: { maxAttempts: 3 },
    onNodeLoss: 'restart',
    dependsOn: ['a', 'b', 'c'],
    ttlSecondsAfterFinished: 86_400
  })
})

await t.test('nothing of the environment goes along unasked', async (t) => {
  t.same(await read({}), { task: { type: 'process', command: ['true'], cwd: '/here' } })
  await t.rejects(read({ env: ['MISSING'] }), { message: /this shell has no variable MISSING/, exitCode: 64 })
})

await t.test('the folder is this one, where the service sees it', async (t) => {
  t.match(await read({ cwd: 'sub' }), { task: { cwd: '/here/sub' } })
  t.same((await read({ cwd: 'none' })).task, { type: 'process', command: ['true'] })
  t.same((await read({}, ['true'], { isLocal: false })).task, { type: 'process', command: ['true'] })
  await t.rejects(read({ cwd: 'sub' }, ['true'], { isLocal: false }), /absolute path/)
})

await t.test('--image makes a container of it', async (t) => {
  t.same((await read({ image: 'busybox' }, ['echo', 'hi'])).task, {
    type: 'container',
    image: 'busybox',
    args: ['echo', 'hi']
  })
  t.same((await read({ image: 'busybox' }, [])).task, { type: 'container', image: 'busybox' })
  await t.rejects(read({ image: 'busybox', cwd: '/x' }), /--cwd is for process jobs/)
})

await t.test('--stdin reads a file or what the command reads, as text', async (t) => {
  const dir = t.testdir()
  writeFileSync(join(dir, 'text'), 'ünï\n')
  writeFileSync(join(dir, 'bytes'), Buffer.from([0xff, 0xfe]))
  t.match(await read({ stdin: join(dir, 'text') }), { task: { stdin: 'ünï\n' } })
  t.match(await read({ stdin: '-' }), { task: { stdin: 'from stdin' } })
  await t.rejects(read({ stdin: join(dir, 'bytes') }), /is not UTF-8/)
  await t.rejects(read({ stdin: join(dir, 'none') }), /cannot be read/)
})

await t.test('what contradicts itself is refused', async (t) => {
  await t.rejects(read({}, []), /no command/)
  await t.rejects(read({ retries: '1', attempts: '2' }), /give one/)
  await t.rejects(read({ priority: '101' }), /--priority/)
  await t.rejects(read({ timeout: 'soon' }), /--timeout/)
})

await t.test('constraints are read from their short form', async (t) => {
  t.same(parseConstraint('zone!=a,b'), { key: 'zone', operator: 'NotIn', values: ['a', 'b'] })
  t.same(parseConstraint('ssd'), { key: 'ssd', operator: 'Exists' })
  t.same(parseConstraint('cores > 4'), { key: 'cores', operator: 'Gt', values: ['4'] })
  t.same(parseConstraint('roost.dev/x<4'), { key: 'roost.dev/x', operator: 'Lt', values: ['4'] })
  for (const text of ['', '=a', 'a b', '!a=b', 'a='])
    t.throws(() => parseConstraint(text), /--constraint must be/)
})
