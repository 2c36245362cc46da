import { defineCommand } from '../command.ts'
import type { Context } from '../context.ts'
import { CliError, exits, UsageError } from '../exit.ts'
import { ago, plain } from '../output.ts'
import { readText } from '../read-text.ts'
import { answer } from '../session.ts'

export const secret = defineCommand({
  usage: 'set NAME | list | rm NAME',
  flags: {
    'from-file': {
      type: 'string',
      short: 'f',
      value: 'FILE',
      help: 'set: the value is what FILE holds; - = stdin'
    }
  },
  positionals: [1, 2],
  completes: ['set', 'list', 'rm'],
  notes: [
    'set asks for the value without showing it, or reads it from stdin where that is no terminal. One newline at the end is left out. A job gets it by: roost run --secret ENV=NAME'
  ],
  examples: ['roost secret set api-key', 'roost secret set tls-key --from-file key.pem', 'roost secret list'],
  async run(context, values, [act, name]) {
    if (act === 'list') {
      if (name !== undefined) throw new UsageError("'roost secret list' takes no name")
      return await printSecrets(context)
    }
    if (act !== 'set' && act !== 'rm')
      throw new UsageError(`'roost secret' takes set, list or rm; got ${JSON.stringify(act)}`)
    if (name === undefined) throw new UsageError(`Which secret? roost secret ${act} NAME`)
    const client = await context.client()
    if (act === 'rm') {
      await answer(client.DELETE('/v1/secrets/{name}', { params: { path: { name } } }))
      return context.json
        ? await context.printJson({ removed: name })
        : await context.print(`${name} is removed\n`)
    }
    const value = (await readValue(context, name, values['from-file'])).replace(/\r?\n$/, '')
    if (value === '') throw new UsageError('The value is empty; nothing was set')
    await answer(client.PUT('/v1/secrets/{name}', { params: { path: { name } }, body: { value } }))
    if (context.json) await context.printJson({ set: name })
    else await context.print(`${name} is set\n`)
  }
})

async function readValue(context: Context, name: string, file: string | undefined): Promise<string> {
  if (file === undefined && context.stdin.isTTY) return await ask(context, `Value of ${name} (not shown): `)
  return await readText(file ?? '-', context.stdin, '--from-file')
}

/** A line from the terminal without its echo. Ctrl-C leaves with 130. */
async function ask({ stdin, stderr }: Context, question: string): Promise<string> {
  stderr.write(question)
  stdin.setRawMode(true)
  stdin.setEncoding('utf8')
  let text = ''
  try {
    for await (const chunk of stdin) {
      for (const letter of chunk as string) {
        if (letter === '\r' || letter === '\n' || letter === '\x04') return text
        if (letter === '\x03') throw new CliError('interrupted', exits.detached, 'Nothing was set')
        if (letter === '\x7f' || letter === '\b') text = Array.from(text).slice(0, -1).join('')
        else if (letter === '\x15') text = ''
        else text += letter
      }
    }
    return text
  } finally {
    stdin.setRawMode(false)
    stderr.write('\n')
  }
}

async function printSecrets(context: Context): Promise<void> {
  const list = await answer((await context.client()).GET('/v1/secrets'))
  if (context.json) return await context.printJson(list)
  const now = Date.now()
  await context.printTable(
    ['NAME', 'FROM', 'SET'],
    list.items.map(({ name, source, updatedAt }) => [
      plain(name),
      plain(source),
      updatedAt === null ? '-' : ago(updatedAt, now)
    ])
  )
}
