import { defineCommand } from '../command.ts'
import { findId } from '../find-job.ts'
import { duration, plain } from '../output.ts'
import { answer, type Schemas } from '../session.ts'

export const pods = defineCommand({
  usage: '[FLAGS]',
  flags: {
    runtime: { type: 'string', value: 'NAME', help: 'only of this runtime' },
    node: { type: 'string', value: 'NODE', help: 'only on this node' },
    job: { type: 'string', value: 'ID|NAME', help: 'only of this job' },
    scope: { type: 'string', choices: ['local', 'mesh'], help: 'of this node, or of all in sight' }
  },
  positionals: [0, 0],
  examples: ['roost pods', 'roost pods --job nightly'],
  async run(context, values) {
    const client = await context.client()
    const filter = {
      ...(values.runtime === undefined ? {} : { runtime: values.runtime }),
      ...(values.node === undefined ? {} : { node: values.node }),
      ...(values.job === undefined ? {} : { jobId: await findId(client, values.job) }),
      ...(values.scope === undefined ? {} : { scope: values.scope as 'local' | 'mesh' })
    }
    const items: Schemas['Pod'][] = []
    let cursor: string | null = null
    do {
      const query = { ...filter, limit: 1_000, ...(cursor === null ? {} : { cursor }) }
      const page: { items: Schemas['Pod'][]; cursor: string | null } = await answer(
        client.GET('/pods', { params: { query } })
      )
      items.push(...page.items)
      cursor = page.cursor
    } while (cursor !== null)
    if (context.json) return await context.printJson({ items, cursor })
    const now = Date.now()
    const rows = items.map(({ name, runtime, phase, startedAt, restarts, jobId }) => [
      plain(name),
      runtime,
      phase,
      startedAt === null ? '-' : duration(now - Date.parse(startedAt)),
      String(restarts),
      jobId ?? '-'
    ])
    await context.printTable(['NAME', 'RUNTIME', 'PHASE', 'AGE', 'RESTARTS', 'JOB'], rows)
  }
})
