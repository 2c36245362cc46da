import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { Ajv } from 'ajv'
import Fastify from 'fastify'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { createCapacity, type CapacityOptions } from '../../plugins/capacity/capacity.ts'
import { probeGpus } from '../../plugins/capacity/gpus.ts'
import capacityPlugin, { type CapacityPluginOptions } from '../../plugins/capacity/index.ts'
import observabilityPlugin from '../../plugins/observability/index.ts'
import { systemClock } from '../../src/contracts/clock.ts'
import { Capacity as CapacitySchema, Gpu } from '../../src/schemas/node.ts'

const GiB = 2 ** 30
const noGpus = async () => ({ gpus: [], problems: [] })

function folder(t: Test): string {
  const made = mkdtempSync(join(tmpdir(), 'roost-capacity-'))
  t.teardown(() => rmSync(made, { recursive: true, force: true }))
  return made
}

/** A tree like /proc and /sys of a machine with 8 cores and 16 GiB, and the files given. */
function machine(t: Test, files: Record<string, string>): string {
  const root = folder(t)
  const all = {
    'proc/self/status': 'Name:\tnode\nCpus_allowed_list:\t0-3,8-11\n',
    'proc/meminfo': `MemTotal:       ${16 * 2 ** 20} kB\nMemFree:        1024 kB\nMemAvailable:   ${12 * 2 ** 20} kB\n`,
    ...files
  }
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return root
}

async function totals(root: string) {
  const capacity = await open({ root, gpuProbe: noGpus })
  const { cpu, memory } = capacity.snapshot()
  return { cores: cpu.total, gib: memory.total / GiB, usedGib: memory.used / GiB }
}

const v2Mount = '30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n'
const v1Mounts = [
  '31 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct',
  '32 30 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
  '33 30 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd',
  ''
].join('\n')
const v1Paths = '5:cpu,cpuacct:/box/inner\n4:memory:/box/inner\n1:name=systemd:/box\n'
const noV1Limit = '9223372036854771712\n'

await t.test('limits of cgroups', async (t) => {
  await t.test('without any, the machine is what there is', async (t) => {
    t.same(await totals(machine(t, {})), { cores: 8, gib: 16, usedGib: 4 })
    t.same(await totals(machine(t, { 'proc/self/cgroup': '0::/\n', 'proc/self/mountinfo': v2Mount })), {
      cores: 8,
      gib: 16,
      usedGib: 4
    })
  })
  await t.test('v2: the tightest of its own and those above, in fractions of a core', async (t) => {
    const files = {
      'proc/self/cgroup': '0::/user.slice/app.scope\n',
      'proc/self/mountinfo': v2Mount,
      'sys/fs/cgroup/user.slice/cpu.max': '150000 100000\n',
      'sys/fs/cgroup/user.slice/memory.max': `${4 * GiB}\n`,
      'sys/fs/cgroup/user.slice/memory.current': `${2 * GiB}\n`,
      'sys/fs/cgroup/user.slice/memory.stat': `anon 1\ninactive_file ${GiB}\n`,
      'sys/fs/cgroup/user.slice/app.scope/cpu.max': 'max 100000\n',
      'sys/fs/cgroup/user.slice/app.scope/memory.max': 'max\n'
    }
    t.same(await totals(machine(t, files)), { cores: 1.5, gib: 4, usedGib: 1 }, 'the parent limits')
    t.same(
      await totals(
        machine(t, {
          ...files,
          'sys/fs/cgroup/user.slice/app.scope/cpu.max': '50000 100000\n',
          'sys/fs/cgroup/user.slice/app.scope/memory.max': `${GiB}\n`
        })
      ),
      { cores: 0.5, gib: 1, usedGib: 4 },
      'its own is tighter; what it uses is not told, so the machine is'
    )
    t.same(
      await totals(
        machine(t, {
          ...files,
          'sys/fs/cgroup/user.slice/cpu.max': '6400000 100000\n',
          'sys/fs/cgroup/user.slice/memory.max': `${64 * GiB}\n`
        })
      ),
      { cores: 8, gib: 16, usedGib: 4 },
      'more than the machine has is no limit'
    )
  })
  await t.test('v1: quota and limit of each controller, nested', async (t) => {
    const files = {
      'proc/self/cgroup': v1Paths,
      'proc/self/mountinfo': v1Mounts,
      'sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us': '250000\n',
      'sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us': '100000\n',
      'sys/fs/cgroup/cpu,cpuacct/box/inner/cpu.cfs_quota_us': '-1\n',
      'sys/fs/cgroup/cpu,cpuacct/box/inner/cpu.cfs_period_us': '100000\n',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': noV1Limit,
      'sys/fs/cgroup/memory/box/memory.limit_in_bytes': `${8 * GiB}\n`,
      'sys/fs/cgroup/memory/box/inner/memory.limit_in_bytes': `${2 * GiB}\n`,
      'sys/fs/cgroup/memory/box/inner/memory.usage_in_bytes': `${GiB}\n`,
      'sys/fs/cgroup/memory/box/inner/memory.stat': `inactive_file 1\ntotal_inactive_file ${GiB / 2}\n`
    }
    t.same(await totals(machine(t, files)), { cores: 2.5, gib: 2, usedGib: 0.5 })
  })
  await t.test('hybrid: v2 without controllers beside v1', async (t) => {
    const root = machine(t, {
      'proc/self/cgroup': `${v1Paths}0::/\n`,
      'proc/self/mountinfo': `${v1Mounts}40 30 0:40 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n`,
      'sys/fs/cgroup/unified/cgroup.procs': '',
      'sys/fs/cgroup/cpu,cpuacct/box/inner/cpu.cfs_quota_us': '100000\n',
      'sys/fs/cgroup/cpu,cpuacct/box/inner/cpu.cfs_period_us': '100000\n',
      'sys/fs/cgroup/memory/box/inner/memory.limit_in_bytes': noV1Limit
    })
    t.same(await totals(root), { cores: 1, gib: 16, usedGib: 4 })
  })
  await t.test(
    "a container sees the host's path, its own mounted part, and a mount point with a space",
    async (t) => {
      const root = machine(t, {
        'proc/self/cgroup': '0::/docker/abc/child\n',
        'proc/self/mountinfo': '30 23 0:26 /docker/abc /sys/fs/c\\040group ro - cgroup2 cgroup rw\n',
        'sys/fs/c group/memory.max': `${3 * GiB}\n`,
        'sys/fs/c group/child/memory.max': `${2 * GiB}\n`
      })
      t.equal((await totals(root)).gib, 2)
      const hidden = machine(t, {
        'proc/self/cgroup': '0::/kubepods/pod1\n',
        'proc/self/mountinfo': '30 23 0:26 /../.. /sys/fs/cgroup ro - cgroup2 cgroup rw\n',
        'sys/fs/cgroup/memory.max': `${GiB}\n`
      })
      t.equal((await totals(hidden)).gib, 1, 'a path that is not there is the mount itself')
    }
  )
  await t.test('nonsense limits nothing', async (t) => {
    const root = machine(t, {
      'proc/self/cgroup': 'broken\n0::/a\n',
      'proc/self/mountinfo': `broken\n${v2Mount}`,
      'sys/fs/cgroup/a/cpu.max': 'lots',
      'sys/fs/cgroup/a/memory.max': '',
      'sys/fs/cgroup/cpu.max': '100 0',
      'proc/self/status': 'Cpus_allowed_list:\tall\n',
      'proc/meminfo': ''
    })
    t.same(await totals(root).then(({ cores, gib }) => [cores, gib]), [
      availableParallelism(),
      totalmem() / GiB
    ])
  })
})

await t.test('use of CPU is the mean since the last look', async (t) => {
  let now = 1_000
  const clock = { ...systemClock, now: () => now }
  const root = machine(t, {
    'proc/self/cgroup': '0::/a\n',
    'proc/self/mountinfo': v2Mount,
    'sys/fs/cgroup/a/cpu.max': '200000 100000',
    'sys/fs/cgroup/a/cpu.stat': 'usage_usec 5000000\n'
  })
  const capacity = createCapacity({ root, clock, gpuProbe: noGpus })
  await capacity.probe()
  const spend = (usage: number, at: number) => {
    now = at
    writeFileSync(join(root, 'sys/fs/cgroup/a/cpu.stat'), `usage_usec ${usage}\nuser_usec 1\n`)
    return capacity.snapshot().cpu.used
  }
  t.equal(spend(5_050_000, 1_050), 0, 'too soon to tell')
  t.equal(spend(6_000_000, 2_000), 1)
  t.equal(spend(9_000_000, 3_000), 2, 'never more than the limit')
  t.equal(spend(9_000_000, 500), 2, 'a clock set back tells nothing')
  t.equal(spend(9_500_000, 1_500), 0.5)

  const v1 = machine(t, {
    'proc/self/cgroup': v1Paths,
    'proc/self/mountinfo': v1Mounts,
    'sys/fs/cgroup/cpu,cpuacct/box/inner/cpu.cfs_quota_us': '100000',
    'sys/fs/cgroup/cpu,cpuacct/box/inner/cpu.cfs_period_us': '100000',
    'sys/fs/cgroup/cpu,cpuacct/box/inner/cpuacct.usage': '1000000000'
  })
  const older = createCapacity({ root: v1, clock, gpuProbe: noGpus })
  await older.probe()
  now += 1_000
  writeFileSync(join(v1, 'sys/fs/cgroup/cpu,cpuacct/box/inner/cpuacct.usage'), '1250000000')
  t.equal(older.snapshot().cpu.used, 0.25, 'version 1 counts nanoseconds')
})

await t.test('this very machine', async (t) => {
  const capacity = createCapacity()
  await capacity.probe()
  const snapshot = capacity.snapshot()
  t.ok(snapshot.cpu.total > 0 && snapshot.memory.total > 0 && snapshot.memory.total <= totalmem())
  t.ok(
    snapshot.memory.used > 0 && snapshot.memory.used < snapshot.memory.total,
    `${snapshot.memory.used} bytes in use`
  )
  if (existsSync('/proc/self/status')) t.ok(snapshot.cpu.total >= Math.min(1, availableParallelism()))
  const validate = new Ajv({ strict: false }).addSchema([Gpu]).compile(CapacitySchema)
  t.ok(validate(snapshot), JSON.stringify(validate.errors))
})

const twoGpus: CapacityOptions = {
  cpu: 2,
  memoryBytes: GiB,
  slots: 3,
  reserve: {},
  gpuProbe: async () => ({
    gpus: [0, 1].map((index) => ({ index, id: `GPU-${index}`, name: 'A100', memoryBytes: 40 * GiB })),
    problems: []
  })
}
async function open(options: CapacityOptions) {
  const capacity = createCapacity(options)
  await capacity.probe()
  return capacity
}

await t.test('what is promised is not promised twice', async (t) => {
  const capacity = await open({ ...twoGpus, reserve: { cpu: 0, memoryBytes: 0 } })
  const small = { cpu: 0.1, memoryBytes: 0, gpu: 0 }
  t.same(capacity.reserve('a', { ...small, gpu: 1 }), { gpus: [0] })
  t.same(capacity.reserve('a', { ...small, gpu: 1 }), { gpus: [0] }, 'a job keeps the reservation it has')
  t.same(capacity.reserve('b', { ...small, gpu: 2 }), null, 'not enough GPUs')
  t.same(capacity.reserve('b', { ...small, gpu: 1 }), { gpus: [1] })
  t.same(capacity.reserve('c', { cpu: 1.9, memoryBytes: 0, gpu: 0 }), null, 'not enough cores')
  t.same(capacity.reserve('c', { cpu: 0, memoryBytes: GiB + 1, gpu: 0 }), null, 'not enough memory')
  t.same(capacity.reserve('c', { cpu: 1.8, memoryBytes: GiB, gpu: 0 }), { gpus: [] })
  t.same(capacity.reserve('d', { cpu: 0, memoryBytes: 0, gpu: 0 }), null, 'no slot')
  t.same(capacity.free(), { cpu: 0, memoryBytes: 0, gpu: 0, slots: 0 })
  t.same(capacity.allocatable(), { cpu: 2, memoryBytes: GiB, gpu: 2, slots: 3 })
  t.same(
    capacity.snapshot().gpu.map(({ index, jobId }) => [index, jobId]),
    [
      [0, 'a'],
      [1, 'b']
    ]
  )
  capacity.release('a')
  capacity.release('a')
  t.same(capacity.free(), { cpu: 0.1, memoryBytes: 0, gpu: 1, slots: 1 })
  t.match(capacity.snapshot(), {
    cpu: { requested: 1.9 },
    memory: { requested: GiB },
    slots: { total: 3, requested: 2 }
  })
})

await t.test('jobs found at start are booked, even where they are too many', async (t) => {
  const capacity = await open(twoGpus)
  capacity.restore('a', { cpu: 3, memoryBytes: 2 * GiB, gpu: 1, gpus: [1] })
  t.same(capacity.free(), { cpu: 0, memoryBytes: 0, gpu: 1, slots: 2 })
  t.equal(capacity.reserve('b', { cpu: 0.001, memoryBytes: 0, gpu: 0 }), null)
  capacity.restore('a', { cpu: 1, memoryBytes: 0, gpu: 1, gpus: [1] })
  t.same(
    capacity.reserve('b', { cpu: 1, memoryBytes: 0, gpu: 1 }),
    { gpus: [0] },
    'restored again: booked once'
  )
})

await t.test('defaults leave the machine some memory and give slots by cores', async (t) => {
  const small = await open({ cpu: 1, memoryBytes: GiB, gpuProbe: noGpus })
  t.same(small.allocatable(), { cpu: 1, memoryBytes: GiB - Math.ceil(GiB / 10), gpu: 0, slots: 16 })
  const large = await open({ cpu: 64, memoryBytes: 256 * GiB, reserve: { cpu: 2 }, gpuProbe: noGpus })
  t.same(large.allocatable(), { cpu: 62, memoryBytes: 256 * GiB - 256 * 2 ** 20, gpu: 0, slots: 512 })
  const nothingLeft = await open({
    cpu: 1,
    memoryBytes: GiB,
    reserve: { cpu: 2, memoryBytes: 2 * GiB },
    gpuProbe: noGpus
  })
  t.match(nothingLeft.allocatable(), { cpu: 0, memoryBytes: 0 })
})

await t.test('any order of reserving and releasing keeps the books', async () => {
  const needs = fc.record({
    cpu: fc.nat(700).map((milli) => milli / 1000),
    memoryBytes: fc.nat(GiB / 2),
    gpu: fc.nat(2)
  })
  const key = fc.constantFrom('a', 'b', 'c', 'd')
  const step = fc.oneof(
    fc.record({ type: fc.constant('reserve' as const), key, needs }),
    fc.record({ type: fc.constant('release' as const), key })
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const capacity = await open(twoGpus)
      const before = capacity.free()
      const held = new Map<string, number[]>()
      for (const one of steps) {
        if (one.type === 'release') {
          capacity.release(one.key)
          held.delete(one.key)
        } else {
          const reserved = capacity.reserve(one.key, one.needs)
          if (reserved !== null) held.set(one.key, reserved.gpus)
        }
        const gpus = [...held.values()].flat()
        const free = capacity.free()
        if (
          new Set(gpus).size !== gpus.length ||
          free.gpu !== 2 - gpus.length ||
          free.slots !== 3 - held.size ||
          free.cpu < 0 ||
          free.memoryBytes < 0
        )
          return false
      }
      for (const key of held.keys()) capacity.release(key)
      return JSON.stringify(capacity.free()) === JSON.stringify(before)
    })
  )
})

// No machine of ours has a GPU: the tools are scripts here that print what the real ones print.
function tools(t: Test, scripts: Record<string, string>): { env: { PATH: string } } {
  const path = folder(t)
  for (const [name, body] of Object.entries(scripts)) {
    writeFileSync(join(path, name), `#!/bin/sh\n${body}\n`)
    chmodSync(join(path, name), 0o755)
  }
  return { env: { PATH: `${path}:/usr/bin:/bin` } }
}

await t.test('GPUs', async (t) => {
  await t.test('no tool, no GPUs, no fuss', async (t) => {
    t.same(await probeGpus({ env: { PATH: folder(t) } }), { gpus: [], problems: [] })
  })
  await t.test('nvidia-smi, with a comma in a name and memory that is not told', async (t) => {
    const { env } = tools(t, {
      'nvidia-smi': `echo "$@" > "$(dirname "$0")/asked"
echo '0, GPU-aa, NVIDIA A100, 80GB, 81920'
echo '3, GPU-bb, NVIDIA GB10, [N/A]'
echo 'No devices were found'`
    })
    const found = await probeGpus({ env })
    t.same(found, {
      gpus: [
        { index: 0, id: 'GPU-aa', name: 'NVIDIA A100, 80GB', memoryBytes: 80 * GiB },
        { index: 3, id: 'GPU-bb', name: 'NVIDIA GB10', memoryBytes: 0 }
      ],
      problems: []
    })
    t.equal(
      readFileSync(join(env.PATH.split(':')[0]!, 'asked'), 'utf8').trim(),
      '--query-gpu=index,uuid,name,memory.total --format=csv,noheader,nounits'
    )
  })
  await t.test('rocm-smi, where there is no NVIDIA GPU', async (t) => {
    const cards = {
      card0: {
        'Unique ID': '0xabc',
        'Card Series': 'Instinct MI210',
        'VRAM Total Memory (B)': '68702699520'
      },
      card1: {},
      system: { 'Driver version': '6' }
    }
    t.same(await probeGpus(tools(t, { 'rocm-smi': `echo '${JSON.stringify(cards)}'` })), {
      gpus: [
        { index: 0, id: '0xabc', name: 'Instinct MI210', memoryBytes: 68_702_699_520 },
        { index: 1, id: 'card1', name: 'AMD GPU', memoryBytes: 0 }
      ],
      problems: []
    })
  })
  await t.test('a tool that fails, prints nonsense or hangs is told and holds nothing up', async (t) => {
    const failed = await probeGpus(
      tools(t, {
        'nvidia-smi': 'echo "Driver/library version mismatch" >&2; exit 18',
        'rocm-smi': 'echo oops'
      })
    )
    t.same(failed.gpus, [])
    t.match(failed.problems, [
      /^nvidia-smi gave no GPUs: Driver\/library version mismatch$/,
      /^rocm-smi gave no GPUs: /
    ])
    const silent = await probeGpus(tools(t, { 'nvidia-smi': 'exit 9' }))
    t.match(silent.problems, [/^nvidia-smi gave no GPUs: Command failed/])
    const hung = await probeGpus({ ...tools(t, { 'nvidia-smi': 'exec sleep 60' }), timeoutMs: 100 })
    t.same(hung, { gpus: [], problems: ['nvidia-smi gave no GPUs: no answer within 100 ms'] })
  })
})

await t.test('the plugin', async (t) => {
  const build = async (options: CapacityPluginOptions) => {
    const app = Fastify()
    t.teardown(() => app.close())
    app.decorate('clock', systemClock)
    await app.register(observabilityPlugin, {
      metricsPort: null,
      host: '127.0.0.1',
      version: '0',
      tracing: null
    })
    await app.register(capacityPlugin, options)
    return app
  }
  await t.test('takes overrides as they are written in jobs', async (t) => {
    const app = await build({ cpu: '1500m', memory: '2Gi', slots: 5, reserve: { cpu: 0.5, memory: '512Mi' } })
    t.match(app.capacity.allocatable(), { cpu: 1, memoryBytes: 1.5 * GiB, slots: 5 })
    t.ok((await build({})).capacity.allocatable().cpu > 0, 'and needs none')
  })
  await t.test('stops the start with the name of a key that is no amount', async (t) => {
    await t.rejects(build({ cpu: 'many' }), /capacity\.cpu: "many" is no amount/)
    await t.rejects(build({ reserve: { memory: '1 GB' } }), /capacity\.reserve\.memory: "1 GB" is no amount/)
  })
})
