import { defineCommand } from '../command.ts'
import type { Context } from '../context.ts'
import { UsageError } from '../exit.ts'
import { duration, phrase, plain, shellLine, type Colour } from '../output.ts'
import { answer, type ApiClient, type Job, type JobState } from '../session.ts'
import { parseInteger, parsePair } from '../units.ts'

const states = [
  'queued',
  'scheduled',
  'running',
  'succeeded',
  'failed',
  'cancelled'
] as const satisfies readonly JobState[]
/** Most of a page that the API gives. */
const pageLimit = 1_000

export const ps = defineCommand({
  usage: '[FLAGS]',
  flags: {
    all: { type: 'boolean', short: 'a', help: 'finished jobs too' },
    state: {
      type: 'string',
      short: 's',
      value: 'STATE',
      multiple: true,
      help: `only these: ${states.join(', ')}`
    },
    label: { type: 'string', short: 'l', value: 'K=V', multiple: true, help: 'only jobs with this label' },
    name: { type: 'string', short: 'n', value: 'NAME', help: 'only jobs of this name' },
    limit: { type: 'string', value: 'N', help: 'at most so many (default 100; 0 = all)' },
    quiet: { type: 'boolean', short: 'q', help: 'ids only' }
  },
  positionals: [0, 0],
  notes: [
    'Newest first. Without -a and --state only jobs that have not ended are listed. With the scope admin those of all tenants.'
  ],
  examples: [
    'roost ps',
    'roost ps -a --label team=a --limit 20',
    'roost cancel $(roost ps -q --name nightly)'
  ],
  async run(context, values) {
    const client = await context.client()
    const wanted = values.state?.flatMap((text) => text.split(','))
    const unknown = wanted?.find((state) => !(states as readonly string[]).includes(state))
    if (unknown !== undefined)
      throw new UsageError(`--state must be one of ${states.join(', ')}; got ${JSON.stringify(unknown)}`)
    const filter = {
      ...(wanted === undefined
        ? values.all === true
          ? {}
          : { state: 'queued,scheduled,running' }
        : { state: wanted.join(',') }),
      ...(values.label === undefined
        ? {}
        : { label: values.label.map((text) => parsePair(text, '--label').join('=')).join(',') }),
      ...(values.name === undefined ? {} : { name: values.name })
    }
    const most = values.limit === undefined ? 100 : parseInteger(values.limit, '--limit', 0) || Infinity
    const { items, cursor } = await listJobs(client, filter, most)
    if (context.json) return await context.printJson({ items, cursor })
    if (values.quiet === true) return await context.print(items.map(({ id }) => `${id}\n`).join(''))
    await printJobs(context, items)
    if (items.length === 0 && context.stderr.isTTY)
      context.note(
        values.all === true
          ? 'No jobs. Start one: roost run -- echo hello'
          : 'No jobs under way. Finished ones too: roost ps -a'
      )
    if (cursor !== null && context.stderr.isTTY)
      context.note(`The newest ${items.length}; more with --limit N (0 = all)`)
  }
})

export interface JobListFilter {
  state?: string
  label?: string
  name?: string
}

/** Up to `most` jobs, newest first, read in pages. `cursor` is null where these are all. */
export async function listJobs(
  client: ApiClient,
  filter: JobListFilter,
  most: number
): Promise<{ items: Job[]; cursor: string | null }> {
  const items: Job[] = []
  let cursor: string | null = null
  for await (const page of jobPages(client, filter, most)) {
    items.push(...page.items)
    cursor = page.cursor
  }
  return { items, cursor }
}

/** The same page by page: a reader of many jobs need not hold them all. */
export async function* jobPages(
  client: ApiClient,
  filter: JobListFilter,
  most = Infinity
): AsyncGenerator<{ items: Job[]; cursor: string | null }> {
  let cursor: string | null = null
  let count = 0
  do {
    const query = {
      ...filter,
      limit: Math.min(pageLimit, most - count),
      ...(cursor === null ? {} : { cursor })
    }
    const page: { items: Job[]; cursor: string | null } = await answer(
      client.GET('/v1/jobs', { params: { query } })
    )
    yield page
    count += page.items.length
    cursor = page.cursor
  } while (cursor !== null && count < most)
}

const colours: Record<JobState, Colour | null> = {
  queued: 'yellow',
  scheduled: 'yellow',
  running: 'blue',
  succeeded: 'green',
  failed: 'red',
  cancelled: 'dim'
}
export const stateColour = (state: JobState): Colour | null => colours[state]

async function printJobs(context: Context, jobs: readonly Job[]): Promise<void> {
  const now = Date.now()
  // A terminal cuts what is too long; elsewhere a line stays one that can be read. The whole: roost get.
  const brief = context.stdout.isTTY ? plain : phrase
  const hasTenants = new Set(jobs.map(({ tenant }) => tenant)).size > 1
  const rows = jobs.map((job) => [
    job.id,
    plain(job.name ?? '-'),
    ...(hasTenants ? [job.tenant] : []),
    context.paint(stateColour(job.state), job.state),
    duration(now - Date.parse(job.createdAt)),
    ranFor(job, now) ?? '-',
    job.message === null ? commandOf(job) : `${commandOf(job, 40)}  (${brief(job.message)})`
  ])
  await context.printTable(
    ['ID', 'NAME', ...(hasTenants ? ['TENANT'] : []), 'STATE', 'AGE', 'RAN', 'COMMAND'],
    rows
  )
}

/** How long it ran, or runs; null where it never started, or waits: also for its next attempt. */
export const ranFor = (
  { state, startedAt, finishedAt }: Pick<Job, 'state' | 'startedAt' | 'finishedAt'>,
  now: number
): string | null =>
  startedAt === null || state === 'queued' || state === 'scheduled'
    ? null
    : duration((finishedAt === null ? now : Date.parse(finishedAt)) - Date.parse(startedAt))

/** What the job does, in one line of at most `most` characters. */
export function commandOf({ spec: { task } }: Job, most = 200): string {
  let text: string = task.type
  if ('command' in task && Array.isArray(task.command) && !('image' in task)) text = shellLine(task.command)
  else if ('image' in task)
    text = `${String(task.image)}${Array.isArray(task['args']) ? ` ${shellLine(task['args'] as string[])}` : ''}`
  else if ('model' in task) text = `llm ${String(task.model)}`
  text = plain(text)
  return text.length > most ? `${text.slice(0, most - 1)}…` : text
}
