import { defineCommand, type Values } from '../command.ts'
import type { Context } from '../context.ts'
import { exits, UsageError } from '../exit.ts'
import { isId } from '../find-job.ts'
import { plain } from '../output.ts'
import { answer, type ApiClient, type Schemas } from '../session.ts'
import { parseInteger, parseTime } from '../units.ts'
import { listTokens } from './token.ts'

type AuditEntry = Schemas['AuditEntry']
/** Most of a page that the API gives. */
const pageLimit = 1_000

const flags = {
  tenant: { type: 'string', value: 'TENANT', help: 'only changes by tokens of this tenant' },
  action: { type: 'string', value: 'ACTION', help: 'only this, such as job.cancel or token.create' },
  actor: {
    type: 'string',
    value: 'TOKEN',
    help: 'only by this token (its id or name, or local, or system)'
  },
  subject: { type: 'string', value: 'ID', help: 'only of this job, token, secret or node' },
  since: { type: 'string', value: 'TIME', help: 'from then on: 2h (ago), or 2026-11-25T08:00:00Z' },
  until: { type: 'string', value: 'TIME', help: 'before then' },
  limit: { type: 'string', value: 'N', help: 'at most so many entries (default 100; 0 = all)' },
  expect: { type: 'string', value: 'SEQ:HASH', help: 'verify: this head, kept earlier, must be in the chain' }
} as const

export const audit = defineCommand({
  usage: '[verify]',
  flags,
  positionals: [0, 1],
  completes: ['verify'],
  notes: [
    'Newest first, with --json also the id of the token, the program and the id of the request; it needs a token with the scope admin. "verify" walks the whole chain and prints its head where it holds: keep that elsewhere, and give it as --expect later, as nothing else tells that the newest entries were cut off. It ends with 1 where an entry was altered, removed, moved or put in, or where the head that was kept is not in the chain.'
  ],
  examples: [
    'roost audit --since 24h',
    'roost audit --subject 01k2v7m3c9x8q5r4t6w7y8z9ab',
    'roost audit verify',
    'roost audit verify --expect "$(cat kept-head)"'
  ],
  async run(context, values, [act]) {
    if (act !== undefined && act !== 'verify')
      throw new UsageError(`'roost audit' takes verify or nothing; got ${JSON.stringify(act)}`)
    const client = await context.client()
    if (act === 'verify') return await verify(context, client, values.expect)
    if (values.expect !== undefined) throw new UsageError('--expect belongs to: roost audit verify')
    await print(context, await collect(client, values))
  }
})

async function collect(
  client: ApiClient,
  values: Values<typeof flags>
): Promise<{ items: AuditEntry[]; cursor: string | null }> {
  const { tenant, action, subject } = values
  const actor = values.actor === undefined ? undefined : await findActor(client, values.actor)
  const now = Date.now()
  const filter = {
    ...(tenant === undefined ? {} : { tenant }),
    ...(action === undefined ? {} : { action }),
    ...(actor === undefined ? {} : { actor }),
    ...(subject === undefined ? {} : { subject }),
    ...(values.since === undefined ? {} : { since: parseTime(values.since, '--since', now) }),
    ...(values.until === undefined ? {} : { until: parseTime(values.until, '--until', now) })
  }
  const most = values.limit === undefined ? 100 : parseInteger(values.limit, '--limit', 0) || Infinity
  const items: AuditEntry[] = []
  let cursor: string | null = null
  do {
    const limit = Math.min(pageLimit, most - items.length)
    const query = { ...filter, limit, ...(cursor === null ? {} : { cursor }) }
    const page: { items: AuditEntry[]; cursor: string | null } = await answer(
      client.GET('/v1/audit', { params: { query } })
    )
    items.push(...page.items)
    cursor = page.cursor
  } while (cursor !== null && items.length < most)
  return { items, cursor }
}

/** The id of the only token of that name; else what was given, as somebody else may have done it. */
async function findActor(client: ApiClient, text: string): Promise<string> {
  if (text === 'local' || text === 'system' || isId(text)) return text
  const named = (await listTokens(client)).filter(({ name }) => name === text)
  if (named.length > 1)
    throw new UsageError(
      `${named.length} tokens are named ${JSON.stringify(text)}; give the id of one`,
      named.map(({ id, createdAt }) => `${id}, made ${createdAt}`).join('\n       ')
    )
  return named[0]?.id ?? text
}

async function print(context: Context, page: { items: AuditEntry[]; cursor: string | null }): Promise<void> {
  if (context.json) return await context.printJson(page)
  const rows = page.items
    .flatMap(changesOf)
    .map((change) => [
      change.time.replace('T', ' ').slice(0, 19),
      plain(change.actorName ?? change.actor),
      change.address ?? '-',
      change.action,
      plain(change.subject),
      plain(detailOf(change.detail))
    ])
  await context.printTable(['TIME (UTC)', 'WHO', 'FROM', 'ACTION', 'SUBJECT', 'DETAIL'], rows)
  if (page.cursor !== null && context.stderr.isTTY)
    context.note(`The newest ${page.items.length}; more with --limit N (0 = all)`)
}

/** Each change of an entry by itself: what a record lacks is the entry's. */
function changesOf(entry: AuditEntry): AuditEntry[] {
  const { records } = entry.detail
  if (!Array.isArray(records)) return [entry]
  return (records as (Partial<AuditEntry> & { at: number })[])
    .map(({ at, ...own }) => ({ ...entry, ...own, time: new Date(at).toISOString() }))
    .toReversed()
}

const detailOf = (detail: AuditEntry['detail']): string =>
  Object.entries(detail)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ')

async function verify(context: Context, client: ApiClient, expect: string | undefined): Promise<number> {
  const given = expect?.trim()
  if (given !== undefined && !/^[1-9][0-9]{0,14}:[0-9a-f]{64}$/.test(given))
    throw new UsageError('--expect must be SEQ:HASH as "roost audit verify" printed it')
  const verdict = await answer(
    client.GET('/v1/audit/verify', { params: { query: given === undefined ? {} : { expect: given } } })
  )
  const code = verdict.ok ? exits.ok : exits.failed
  if (context.json) {
    await context.printJson(verdict)
    return code
  }
  // A head of what does not hold must not take the place of one that was kept: `> head.txt`.
  if (verdict.ok && verdict.head !== null) await context.print(`${verdict.head}\n`)
  const { entries, fault, anchor } = verdict
  if (fault !== null)
    context.note(context.paintError('red', `${fault.message}. The ${entries} before it are as they were.`))
  else
    context.note(
      `${entries} ${entries === 1 ? 'entry, as it was' : 'entries, each as it was'} written.${verdict.ok ? ' Keep the line above elsewhere.' : ''}`
    )
  if (anchor === 'missing')
    context.note(context.paintError('red', 'The chain ends before the head that was kept: it was cut off'))
  if (anchor === 'different')
    context.note(
      context.paintError('red', 'Another entry stands where the head was: the chain was rewritten')
    )
  return code
}
