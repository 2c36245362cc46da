import { defineCommand } from '../command.ts'
import { ago } from '../output.ts'
import { answer } from '../session.ts'
import { parseInteger } from '../units.ts'

export const queue = defineCommand({
  usage: '[FLAGS]',
  flags: { limit: { type: 'string', value: 'N', help: 'at most so many (default 100, at most 1000)' } },
  positionals: [0, 0],
  notes: ['The order in which waiting jobs are tried. Why one waits: roost get ID'],
  examples: ['roost queue --limit 10'],
  async run(context, values) {
    const client = await context.client()
    const limit = values.limit === undefined ? 100 : parseInteger(values.limit, '--limit', 1, 1_000)
    const list = await answer(client.GET('/v1/queue', { params: { query: { limit } } }))
    if (context.json) return await context.printJson(list)
    const now = Date.now()
    const rows = list.items.map(({ position, jobId, priority, tenant, waitingFor, notBefore }) => [
      String(position),
      jobId,
      String(priority),
      tenant,
      waitingFor.length > 0
        ? `job ${waitingFor[0]}${waitingFor.length > 1 ? ` and ${waitingFor.length - 1} more` : ''}`
        : notBefore === null
          ? 'room'
          : `its next try ${ago(notBefore, now)}`
    ])
    await context.printTable(['POSITION', 'JOB', 'PRIORITY', 'TENANT', 'WAITS FOR'], rows)
  }
})
