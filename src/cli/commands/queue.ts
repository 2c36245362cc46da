import { defineCommand } from '../command.ts'
import { ago, number, plain } from '../output.ts'
import { answer } from '../session.ts'
import { parseInteger } from '../units.ts'

export const queue = defineCommand({
  usage: '[FLAGS]',
  flags: { limit: { type: 'string', value: 'N', help: 'at most so many (default 100, at most 1000)' } },
  positionals: [0, 0],
  notes: [
    'The order in which waiting jobs are tried: the tenant with the smallest share first, then by priority, to which waiting adds.'
  ],
  examples: ['roost queue --limit 10'],
  async run(context, values) {
    const client = await context.client()
    const limit = values.limit === undefined ? 100 : parseInteger(values.limit, '--limit', 1, 1_000)
    const list = await answer(client.GET('/v1/queue', { params: { query: { limit } } }))
    if (context.json) return await context.printJson(list)
    const now = Date.now()
    const rows = list.items.map((item) => [
      String(item.position),
      item.jobId,
      plain(item.name ?? '-'),
      item.tenant,
      number(item.effectivePriority),
      number(item.share),
      item.startsBy === null ? '-' : ago(item.startsBy, now),
      item.message === null ? 'about to start' : `${item.reason}: ${plain(item.message)}`
    ])
    await context.printTable(
      ['POSITION', 'JOB', 'NAME', 'TENANT', 'PRIORITY', 'SHARE', 'STARTS BY', 'WHY IT WAITS'],
      rows
    )
  }
})
