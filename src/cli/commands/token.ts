import { defineCommand } from '../command.ts'
import type { Context } from '../context.ts'
import { dataDirOf, readToken } from '../connection.ts'
import { UsageError } from '../exit.ts'
import { ago, plain } from '../output.ts'
import { answer, type Schemas } from '../session.ts'
import { parseDuration } from '../units.ts'

const scopes = [
  'read:jobs',
  'write:jobs',
  'llm:invoke',
  'context:read',
  'context:write',
  'admin'
] as const satisfies readonly Schemas['Scope'][]

export const token = defineCommand({
  usage: '[create --name NAME --scope SCOPE… | list | revoke ID]',
  flags: {
    name: { type: 'string', short: 'n', value: 'NAME', help: 'create: who or what it is for' },
    scope: {
      type: 'string',
      short: 's',
      multiple: true,
      value: 'SCOPE',
      help: `create: ${scopes.join(', ')}`
    },
    tenant: {
      type: 'string',
      value: 'TENANT',
      help: 'create: whose jobs it sees and makes (default: default)'
    },
    expires: {
      type: 'string',
      value: 'TIME',
      help: 'create: valid for this long: 12h, 30d (default: for good)'
    }
  },
  positionals: [0, 2],
  completes: ['create', 'list', 'revoke'],
  notes: [
    'Without more: prints the token that the command itself uses. The text of a created token is shown once.'
  ],
  examples: [
    'roost token',
    'roost token create --name ci --scope write:jobs --scope read:jobs --expires 90d',
    'roost token revoke 01k2v7m3c9x8q5r4t6w7y8z9ab'
  ],
  async run(context, values, [act, id]) {
    if (act === undefined) return await printOwn(context)
    if (act === 'list') return await printTokens(context)
    if (act === 'revoke') {
      if (id === undefined)
        throw new UsageError('Which token? roost token revoke ID', 'See them with: roost token list')
      await answer((await context.client()).DELETE('/v1/tokens/{id}', { params: { path: { id } } }))
      return context.json
        ? await context.printJson({ revoked: id })
        : await context.print(`${id} is revoked\n`)
    }
    if (act !== 'create')
      throw new UsageError(`'roost token' takes create, list or revoke; got ${JSON.stringify(act)}`)
    const wanted = values.scope?.flatMap((text) => text.split(',')) ?? []
    const unknown = wanted.find((scope) => !(scopes as readonly string[]).includes(scope))
    if (unknown !== undefined)
      throw new UsageError(`--scope must be one of ${scopes.join(', ')}; got ${JSON.stringify(unknown)}`)
    if (values.name === undefined || wanted.length === 0)
      throw new UsageError(
        'A token needs --name and at least one --scope',
        'For example: roost token create --name ci --scope write:jobs'
      )
    const made = await answer(
      (await context.client()).POST('/v1/tokens', {
        body: {
          name: values.name,
          scopes: wanted as Schemas['Scope'][],
          ...(values.tenant === undefined ? {} : { tenant: values.tenant }),
          ...(values.expires === undefined
            ? {}
            : { expiresInSeconds: Math.round(parseDuration(values.expires, '--expires')) })
        }
      })
    )
    if (context.json) return await context.printJson(made)
    await context.print(`${made.token}\n`)
    if (context.stderr.isTTY)
      context.note(
        `This is shown once. Its id is ${made.record.id}${made.record.expiresAt === null ? '' : `; it expires ${ago(made.record.expiresAt, Date.now())}`}.`
      )
  }
})

async function printOwn(context: Context): Promise<void> {
  const text = readToken(context.env, dataDirOf(context.connectionOptions))
  if (context.json) await context.printJson({ token: text })
  else await context.print(`${text}\n`)
}

async function printTokens(context: Context): Promise<void> {
  const list = await answer((await context.client()).GET('/v1/tokens'))
  if (context.json) return await context.printJson(list)
  const now = Date.now()
  const rows = list.items.map(({ id, name, tenant, scopes: granted, createdAt, expiresAt, revokedAt }) => [
    id,
    plain(name),
    tenant,
    ago(createdAt, now),
    revokedAt !== null
      ? context.paint('red', `revoked ${ago(revokedAt, now)}`)
      : expiresAt === null
        ? 'for good'
        : Date.parse(expiresAt) <= now
          ? context.paint('red', 'expired')
          : `expires ${ago(expiresAt, now)}`,
    granted.join(' ')
  ])
  await context.printTable(['ID', 'NAME', 'TENANT', 'MADE', 'VALID', 'SCOPES'], rows)
}
