import { defineCommand } from '../command.ts'
import type { Context } from '../context.ts'
import { UsageError } from '../exit.ts'
import { findId } from '../find-job.ts'
import { ago, plain, type Colour } from '../output.ts'
import { answer, type Schemas } from '../session.ts'

const colours: Record<Schemas['WebhookDelivery']['state'], Colour> = {
  pending: 'yellow',
  delivered: 'green',
  failed: 'red'
}

export const webhook = defineCommand({
  usage: 'list JOB | secret',
  flags: { tenant: { type: 'string', value: 'TENANT', help: "secret: whose (default: the token's own)" } },
  positionals: [1, 2],
  completes: ['list', 'secret'],
  notes: [
    'A job is given one by: roost run --webhook URL. list shows whether it was delivered, and if not, why and when next. secret prints the key with which a receiver verifies those that name no secret of their own; it needs the scope admin.'
  ],
  examples: ['roost webhook list nightly', 'roost webhook secret'],
  async run(context, values, [act, job]) {
    if (act === 'list') {
      if (job === undefined) throw new UsageError('Whose webhooks? roost webhook list JOB')
      return await printDeliveries(context, job)
    }
    if (act !== 'secret' || job !== undefined)
      throw new UsageError(`'roost webhook' takes list JOB, or secret; got ${JSON.stringify(job ?? act)}`)
    const { tenant } = values
    const client = await context.client()
    const query = tenant === undefined ? {} : { tenant }
    const made = await answer(client.GET('/v1/webhooks/secret', { params: { query } }))
    if (context.json) await context.printJson(made)
    else await context.print(`${made.secret}\n`)
  }
})

async function printDeliveries(context: Context, job: string): Promise<void> {
  const client = await context.client()
  const id = await findId(client, job)
  const list = await answer(client.GET('/v1/jobs/{id}/webhooks', { params: { path: { id } } }))
  if (context.json) return await context.printJson(list)
  const now = Date.now()
  const rows = list.items.map((one) => [
    one.id,
    context.paint(colours[one.state], one.state),
    String(one.attempts),
    one.lastAttemptAt === null ? '-' : ago(one.lastAttemptAt, now),
    one.nextAttemptAt === null ? '-' : ago(one.nextAttemptAt, now),
    plain(one.lastError ?? (one.lastStatus === null ? '' : String(one.lastStatus)))
  ])
  await context.printTable(['ID', 'STATE', 'TRIES', 'LAST', 'NEXT', 'SAID'], rows)
  if (rows.length === 0 && context.stderr.isTTY)
    context.note('None: the job names no webhook, or has not ended')
}
