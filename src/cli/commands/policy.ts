import { spawnSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { defineCommand } from '../command.ts'
import type { Context } from '../context.ts'
import { CliError, exits, UsageError } from '../exit.ts'
import { bytes, plain } from '../output.ts'
import { readText } from '../read-text.ts'
import { answer, type Schemas } from '../session.ts'

export const policy = defineCommand({
  usage: 'check FILE | explain JOB.json | show',
  flags: {
    tenant: { type: 'string', value: 'TENANT', help: 'explain: for a job of this tenant (needs admin)' }
  },
  positionals: [1, 2],
  completes: ['check', 'explain', 'show'],
  notes: [
    'check reads a policy file without a service: 0 where it is valid, 64 where not, with the line and what would be right. explain asks the service what its policies say of a job (- = stdin) and stores nothing: 0 where it would be accepted now, else 1. show prints the policies in force.'
  ],
  examples: [
    'roost policy check policies.yaml',
    'roost policy explain job.json',
    `echo '{"task":{"type":"process","command":["make"]}}' | roost policy explain --tenant students -`
  ],
  async run(context, values, [act, file]) {
    if (act === 'show' && file === undefined) return await show(context)
    if (act !== 'check' && act !== 'explain')
      throw new UsageError(
        `'roost policy' takes check FILE, explain JOB.json or show; got ${JSON.stringify(act)}`
      )
    if (file === undefined) throw new UsageError(`Which file? roost policy ${act} FILE`)
    if (act === 'explain') return await explain(context, file, values.tenant)
    if (values.tenant !== undefined) throw new UsageError('--tenant belongs to: roost policy explain')
    return await check(context, file)
  }
})

async function check(context: Context, file: string): Promise<number> {
  const text = await readText(file, context.stdin, 'policy check')
  const { parsePolicies } = await import('../../policy-file.ts')
  const { policies, problems } = parsePolicies(text)
  const accounts = [...new Set(policies.flatMap(({ user }) => user ?? []))]
  if (accounts.includes('root'))
    problems.push("user: root runs no tenant's jobs, each of them would be refused; name another account")
  if (context.json) {
    await context.printJson({ file, valid: problems.length === 0, hash: hash('sha256', text), problems })
    return problems.length === 0 ? exits.ok : exits.usage
  }
  if (problems.length > 0)
    throw new CliError(
      'invalid-policies',
      exits.usage,
      `${plain(file)} is not valid:\n${problems.map((problem) => `  ${plain(problem)}`).join('\n')}`
    )
  for (const account of accounts)
    if (isUnknown(account))
      context.note(`${plain(account)} is no account of this machine: where the service runs it must be one`)
  await context.print(
    `${plain(file)} is valid: ${policies.length} ${policies.length === 1 ? 'policy' : 'policies'}\n`
  )
  return exits.ok
}

/** Whether this machine surely has no such account; one for each tenant, or without getent, nobody can tell. */
const isUnknown = (account: string): boolean =>
  !account.includes('{tenant}') && spawnSync('getent', ['passwd', '--', account]).status === 2

async function explain(context: Context, file: string, tenant: string | undefined): Promise<number> {
  const text = await readText(file, context.stdin, 'policy explain')
  let body: Schemas['JobSpec']
  try {
    body = JSON.parse(text) as Schemas['JobSpec']
  } catch (error) {
    throw new UsageError(
      `${plain(file)} is no JSON: ${(error as Error).message}`,
      'It must be a job as POST /schedule takes it.'
    )
  }
  const client = await context.client()
  const query = tenant === undefined ? {} : { tenant }
  const explained = await answer(client.POST('/v1/policies/explain', { params: { query }, body }))
  if (context.json) await context.printJson(explained)
  else await printChecks(context, explained)
  return explained.allowed ? exits.ok : exits.failed
}

const colours = { allowed: 'green', waits: 'yellow', refused: 'red' } as const

async function printChecks(
  context: Context,
  { tenant, policies, checks, allowed }: Schemas['PolicyExplanation']
): Promise<void> {
  const { paint } = context
  if (checks.length > 0) {
    const show = (value: string | number | string[] | null, rule: string) =>
      typeof value === 'number' && /\.(memory|logBytes)$/.test(rule)
        ? bytes(value)
        : plain(Array.isArray(value) ? value.join(', ') : `${value ?? '-'}`)
    const rows = checks.map(({ policy, rule, verdict, value, limit, message }) => [
      plain(policy ?? '-'),
      plain(rule),
      paint(colours[verdict], verdict),
      show(value, rule),
      show(limit, rule),
      verdict === 'allowed' ? '' : plain(message)
    ])
    await context.printTable(['POLICY', 'RULE', 'VERDICT', 'VALUE', 'BOUND', 'WHY'], rows)
    await context.print('\n')
  }
  const named =
    policies.length === 0 ? 'no policy applies to it' : `policies: ${policies.map(plain).join(', ')}`
  await context.print(
    `A job of tenant ${plain(tenant)} would be ${allowed ? 'accepted' : 'refused'} now (${named})\n`
  )
}

async function show(context: Context): Promise<void> {
  const status = await answer((await context.client()).GET('/v1/policies'))
  if (context.json) return await context.printJson(status)
  const { file, loadedAt, error, policies } = status
  if (file === null)
    return await context.print(
      'No policy file is configured (policiesFile, ROOST_POLICIES): nothing is restricted\n'
    )
  if (error !== null)
    context.note(
      `${plain(file)} is not valid, the policies read before stay in force:\n${error.problems.map((problem) => `  ${plain(problem)}`).join('\n')}`
    )
  const rows = policies.map(({ name, tenants, tokens, ...rules }) => [
    plain(name),
    plain(tenants.join(', ')),
    plain(tokens?.join(', ') ?? 'all'),
    plain(Object.keys(rules).join(', ') || '-')
  ])
  await context.printTable(['POLICY', 'TENANTS', 'TOKENS', 'SPEAKS OF'], rows)
  await context.print(`\n${plain(file)}, read ${loadedAt ?? '-'}\n`)
}
