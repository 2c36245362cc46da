import { defineCommand } from '../command.ts'
import { answer } from '../session.ts'

export const drain = defineCommand({
  usage: '[NODE]',
  flags: {},
  positionals: [0, 1],
  completes: 'nodes',
  notes: [
    'Without NODE: the one that answers. What runs may end; new jobs are refused until "roost undrain".'
  ],
  examples: ['roost drain', 'roost drain gpu-box'],
  async run(context, _values, [id = 'local']) {
    const node = await answer(
      (await context.client()).POST('/v1/nodes/{id}/drain', { params: { path: { id } } })
    )
    if (context.json) return await context.printJson(node)
    await context.print(
      `${node.name} is ${node.state}; it takes jobs again after: roost undrain ${node.name}\n`
    )
  }
})

export const undrain = defineCommand({
  usage: '[NODE]',
  flags: {},
  positionals: [0, 1],
  completes: 'nodes',
  notes: ['Without NODE: the one that answers. Also starts a restored backup, which is paused.'],
  examples: ['roost undrain'],
  async run(context, _values, [id = 'local']) {
    const node = await answer(
      (await context.client()).POST('/v1/nodes/{id}/undrain', { params: { path: { id } } })
    )
    if (context.json) return await context.printJson(node)
    await context.print(`${node.name} is ${node.state}\n`)
  }
})
