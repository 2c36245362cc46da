import { randomUUID } from 'node:crypto'
import type { Values } from '../command.ts'
import type { Context } from '../context.ts'
import { ApiError, exits, UsageError } from '../exit.ts'
import { jobFlags } from '../job-flags.ts'
import { limited } from '../limited.ts'
import { plain } from '../output.ts'
import { readText } from '../read-text.ts'
import { retrying, type RetryOptions, type Session } from '../session.ts'
import { onInterrupt } from '../signals.ts'
import { plan, submit } from '../submit.ts'
import { batchLabel, countEntries, type Entry } from './entries.ts'
import { createProgress, type Progress } from './progress.ts'
import { readBatch, type BadLine, type BatchLine } from './read.ts'
import { printSummary, summarise } from './summary.ts'
import { cancelAll, watchEntries } from './watch.ts'

/** Requests under way at one time. */
const atOnce = 32
const badLinesShown = 20

export type BatchValues = Values<typeof jobFlags> & {
  from?: string | undefined
  detach?: boolean | undefined
  rm?: boolean | undefined
  'unique-name'?: boolean | undefined
  'idempotency-key'?: string | undefined
  'skip-invalid'?: boolean | undefined
}

/** `roost run --from`: checks every line, submits them all and follows them to their ends. */
export async function runBatch(context: Context, values: BatchValues): Promise<number> {
  const flag = Object.keys(jobFlags).find(
    (name) => name !== 'cwd' && values[name as keyof typeof jobFlags] !== undefined
  )
  if (flag !== undefined)
    throw new UsageError(`--${flag} does not go with --from: each line says it for itself`)
  const session = await context.session()
  const cwd = session.connection.isLocal && values.cwd !== 'none' ? (values.cwd ?? process.cwd()) : null
  const { lines, bad } = readBatch(await readText(values.from!, context.stdin, '--from'), cwd)
  if (lines.length + bad.length === 0) throw new UsageError(`${values.from} holds no jobs`)

  const batch = values['idempotency-key'] ?? randomUUID()
  if (!/^[\x21-\x7e]{1,200}$/.test(batch) || batch.includes(','))
    throw new UsageError(
      '--idempotency-key of a batch must be 1 to 200 printable characters without spaces and commas'
    )
  const abort = new AbortController()
  let entries: Entry[] = lines.map(({ line, spec }) => ({
    line,
    spec: { ...spec, labels: { ...spec.labels, [batchLabel]: batch } },
    id: null,
    state: 'unsent',
    message: null,
    end: null
  }))
  const progress = createProgress(context, () => countEntries(entries))
  const retry: RetryOptions = {
    signal: abort.signal,
    waitsOutBusy: true,
    onWait: (error) => progress.stuck(error)
  }
  let cancelled = false
  const stopListening = onInterrupt((count) => {
    if (values.rm === true && count === 1) cancelled = true
    abort.abort()
    if (count > 1) process.exit(exits.detached)
  })
  const began = Date.now()
  try {
    const refused = await checkLines(session, entries, lines, retry)
    const faults = [...bad, ...refused].sort((a, b) => a.line - b.line)
    if (faults.length > 0) {
      progress.stop()
      tellFaults(context, faults, values['skip-invalid'] === true)
      if (values['skip-invalid'] !== true) return exits.usage
      const skipped = new Set(refused.map(({ line }) => line))
      entries = entries.filter(({ line }) => !skipped.has(line))
      if (entries.length === 0)
        throw new UsageError(`No line of ${values.from} is a job; nothing was submitted`)
    }
    await Promise.all([
      submitAll(session, entries, batch, values['unique-name'] === true, retry, progress),
      values.detach === true ? null : watchEntries(session, entries, batch, abort.signal, progress)
    ])
    progress.stop()
    if (values.detach === true) return await printAccepted(context, entries, faults)
    const summary = summarise(batch, entries, Date.now() - began, faults)
    if (context.json) await context.printJson(summary)
    else await printSummary(context, summary, entries)
    return summary.succeeded === summary.total ? exits.ok : exits.failed
  } catch (error) {
    progress.stop()
    if (!abort.signal.aborted) {
      // What else is under way ends too.
      abort.abort()
      throw error
    }
    const accepted = entries.filter(({ id }) => id !== null).length
    if (cancelled) await cancelAll(session, entries, batch)
    context.note(
      cancelled
        ? `Cancelled what had not ended of ${accepted} jobs`
        : `Detached; ${accepted} of ${entries.length} jobs were accepted and go on.\n  see them:     roost ps -a --label ${batchLabel}=${batch}\n  cancel them:  roost cancel --label ${batchLabel}=${batch}`
    )
    return exits.detached
  } finally {
    progress.stop()
    stopListening()
  }
}

/** Asks the service about every line before any is submitted: it alone knows what a job may hold. */
async function checkLines(
  session: Session,
  entries: readonly Entry[],
  lines: readonly BatchLine[],
  retry: RetryOptions
): Promise<BadLine[]> {
  // Many lines of a batch are the same but for a name or a word; those that are the very same are asked about once.
  const seen = new Map<string, Promise<string | null>>()
  let connected = false
  const check = async (entry: Entry): Promise<string | null> => {
    try {
      await retrying(session, () => plan(session, entry.spec), { ...retry, mustConnectAtFirst: !connected })
      connected = true
      return null
    } catch (error) {
      if (!(error instanceof ApiError) || (error.problem.status !== 422 && error.problem.status !== 400))
        throw error
      const { errors } = error.problem
      return errors === undefined || errors.length === 0
        ? error.message
        : errors.map(({ pointer, message }) => `${pointer} ${message}`).join('; ')
    }
  }
  const answers = await limited(entries, atOnce, async (entry) => {
    const text = JSON.stringify(entry.spec)
    let asked = seen.get(text)
    if (asked === undefined) seen.set(text, (asked = check(entry)))
    return await asked
  })
  return answers.flatMap((message, i) => (message === null ? [] : [{ line: lines[i]!.line, message }]))
}

function tellFaults(context: Context, faults: readonly BadLine[], skips: boolean): void {
  if (context.json) {
    context.note(
      JSON.stringify({
        type: '/docs/errors#invalid',
        title: 'Some lines are no jobs',
        code: 'invalid',
        status: 422,
        detail: skips ? 'They are left out' : 'Nothing was submitted; --skip-invalid runs the others',
        errors: faults.map(({ line, message }) => ({
          pointer: `/${line}`,
          in: 'body',
          message: `line ${line} ${message}`
        }))
      })
    )
    return
  }
  for (const { line, message } of faults.slice(0, badLinesShown))
    context.note(`roost: line ${line}: ${plain(message)}`)
  if (faults.length > badLinesShown) context.note(`roost: and ${faults.length - badLinesShown} lines more`)
  const many = faults.length === 1 ? '1 line is no job' : `${faults.length} lines are no jobs`
  context.note(
    skips
      ? `roost: ${many} and left out`
      : `roost: ${many}; nothing was submitted. --skip-invalid runs the others`
  )
}

async function submitAll(
  session: Session,
  entries: readonly Entry[],
  batch: string,
  uniqueName: boolean,
  retry: RetryOptions,
  progress: Progress
): Promise<void> {
  await limited(
    entries.filter(({ state }) => state === 'unsent'),
    atOnce,
    async (entry) => {
      try {
        // The key makes a second submission after a lost answer the same job.
        const job = await submit(session, entry.spec, { ...retry, key: `${batch}-${entry.line}`, uniqueName })
        progress.goesOn()
        Object.assign(entry, { id: job.id, state: 'queued' })
      } catch (error) {
        if (!(error instanceof ApiError) || error.exitCode === exits.forbidden) throw error
        Object.assign(entry, { state: 'refused', message: error.message })
      }
    }
  )
}

async function printAccepted(
  context: Context,
  entries: readonly Entry[],
  skipped: readonly BadLine[]
): Promise<number> {
  for (const { line, id, message, state } of entries) {
    if (context.json)
      await context.print(
        `${JSON.stringify({ line, id, state: state === 'refused' ? 'refused' : 'accepted', message })}\n`
      )
    else if (id !== null) await context.print(`${id}\n`)
    else context.note(`roost: line ${line}: ${plain(message ?? 'not accepted')}`)
  }
  if (context.json)
    for (const { line, message } of skipped)
      await context.print(`${JSON.stringify({ line, id: null, state: 'skipped', message })}\n`)
  return entries.every(({ id }) => id !== null) ? exits.ok : exits.failed
}
