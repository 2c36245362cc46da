import { defineCommand } from '../command.ts'
import type { Context } from '../context.ts'
import { dataDirOf, readToken } from '../connection.ts'
import { UsageError } from '../exit.ts'
import { ago, plain } from '../output.ts'
import { answer, type ApiClient, type Schemas } from '../session.ts'
import { parseDuration } from '../units.ts'

type Token = Schemas['Token']

const scopes = [
  'read:jobs',
  'write:jobs',
  'llm:invoke',
  'context:read',
  'context:write',
  'admin'
] as const satisfies readonly Schemas['Scope'][]

export const token = defineCommand({
  usage: '[create --name NAME --scope SCOPE… | list | revoke ID | rotate]',
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
      help: 'create: whose jobs it sees and makes (default: default); list: only of this tenant'
    },
    expires: {
      type: 'string',
      value: 'TIME',
      help: 'create: valid for this long: 12h, 30d (default: for good)'
    },
    all: { type: 'boolean', short: 'a', help: 'list: also those that expired or were revoked' }
  },
  positionals: [0, 2],
  completes: ['create', 'list', 'revoke', 'rotate'],
  notes: [
    'Without more: prints the token that the command itself uses. The text of a created token is shown once. What a revoked token holds open is closed at once. rotate replaces the local token, which the command reads by itself.'
  ],
  examples: [
    'roost token',
    'roost token create --name ci --scope write:jobs --scope read:jobs --expires 90d',
    'roost token revoke 01k2v7m3c9x8q5r4t6w7y8z9ab'
  ],
  async run(context, values, [act, id]) {
    if (act === undefined) return await printOwn(context)
    if (act === 'list') return await printTokens(context, values.tenant, values.all === true)
    if (act === 'rotate') return await rotate(context)
    if (act === 'revoke') {
      if (id === undefined)
        throw new UsageError('Which token? roost token revoke ID', 'See them with: roost token list')
      await answer((await context.client()).DELETE('/v1/tokens/{id}', { params: { path: { id } } }))
      return context.json
        ? await context.printJson({ revoked: id })
        : await context.print(`${id} is revoked\n`)
    }
    if (act !== 'create')
      throw new UsageError(`'roost token' takes create, list, revoke or rotate; got ${JSON.stringify(act)}`)
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

async function rotate(context: Context): Promise<void> {
  const made = await answer((await context.client()).POST('/v1/tokens/local/rotate'))
  if (context.json) await context.printJson(made)
  else await context.print(`The local token is a new one, in ${made.tokenFile}\n`)
}

/** Every token that fits, read in pages. */
export async function listTokens(
  client: ApiClient,
  filter: { tenant?: string; active?: boolean } = {}
): Promise<Token[]> {
  const items: Token[] = []
  let cursor: string | null = null
  do {
    const query = { ...filter, limit: 1000, ...(cursor === null ? {} : { cursor }) }
    const page: { items: Token[]; cursor: string | null } = await answer(
      client.GET('/v1/tokens', { params: { query } })
    )
    items.push(...page.items)
    cursor = page.cursor
  } while (cursor !== null)
  return items
}

async function printTokens(context: Context, tenant: string | undefined, all: boolean): Promise<void> {
  const items = await listTokens(await context.client(), {
    ...(tenant === undefined ? {} : { tenant }),
    ...(all ? {} : { active: true })
  })
  if (context.json) return await context.printJson({ items, cursor: null })
  const now = Date.now()
  const rows = items.map(({ lastUsedAt, createdAt, expiresAt, revokedAt, ...token }) => [
    token.id,
    plain(token.name),
    token.tenant,
    ago(createdAt, now),
    lastUsedAt === null ? 'never' : ago(lastUsedAt, now),
    revokedAt !== null
      ? context.paint('red', `revoked ${ago(revokedAt, now)}`)
      : expiresAt === null
        ? 'for good'
        : Date.parse(expiresAt) <= now
          ? context.paint('red', 'expired')
          : `expires ${ago(expiresAt, now)}`,
    token.scopes.join(' ')
  ])
  await context.printTable(['ID', 'NAME', 'TENANT', 'MADE', 'USED', 'VALID', 'SCOPES'], rows)
}
