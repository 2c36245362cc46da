import { defineCommand } from '../command.ts'
import { ago, bytes, number, plain } from '../output.ts'
import { answer } from '../session.ts'

export const nodes = defineCommand({
  usage: '',
  flags: {},
  positionals: [0, 0],
  notes: ['CPU and MEMORY are promised / allocatable.'],
  examples: ['roost nodes', 'roost nodes --json'],
  async run(context) {
    const list = await answer((await context.client()).GET('/v1/nodes'))
    if (context.json) return await context.printJson(list)
    const now = Date.now()
    const rows = list.items.map(
      ({ id, name, state, os, arch, version, runtimes, capacity, local, seenAt }) => [
        `${plain(name)}${local ? ' *' : ''}`,
        context.paint(state === 'ready' ? 'green' : 'yellow', state),
        `${os}/${arch}`,
        capacity === null ? '-' : `${number(capacity.cpu.requested)}/${number(capacity.cpu.allocatable)}`,
        capacity === null ? '-' : `${bytes(capacity.memory.requested)}/${bytes(capacity.memory.allocatable)}`,
        capacity === null
          ? '-'
          : `${capacity.gpu.filter(({ jobId }) => jobId !== null).length}/${capacity.gpu.length}`,
        capacity === null ? '-' : `${capacity.slots.requested}/${capacity.slots.allocatable}`,
        runtimes.join(',') || '-',
        version,
        local ? 'now' : ago(seenAt, now),
        id
      ]
    )
    await context.printTable(
      ['NAME', 'STATE', 'OS', 'CPU', 'MEMORY', 'GPU', 'SLOTS', 'RUNTIMES', 'VERSION', 'SEEN', 'ID'],
      rows
    )
  }
})
