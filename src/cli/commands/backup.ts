import { resolve } from 'node:path'
import { defineCommand } from '../command.ts'
import { UsageError } from '../exit.ts'
import { bytes } from '../output.ts'
import { answer } from '../session.ts'

export const backup = defineCommand({
  usage: 'FILE',
  flags: {},
  positionals: [1, 1],
  completes: 'files',
  notes: ['The service writes FILE, on its own machine, while everything goes on. FILE must not exist yet.'],
  examples: ['roost backup /backups/roost-monday.db'],
  async run(context, _values, [given]) {
    const session = await context.session()
    if (!session.connection.isLocal && !given!.startsWith('/'))
      throw new UsageError(
        'FILE must be an absolute path where the service runs on another machine: it is written there'
      )
    const file = session.connection.isLocal ? resolve(given!) : given!
    const made = await answer(session.client.POST('/v1/backup', { body: { file } }))
    if (context.json) return await context.printJson(made)
    await context.print(`${made.file}  ${bytes(made.bytes)}\n`)
  }
})
