import { defineCommand } from '../command.ts'
import type { Context } from '../context.ts'
import { exits, Unreachable, UsageError } from '../exit.ts'
import { withDependencies } from '../find-job.ts'
import { followJob } from '../follow-job.ts'
import { jobFlags, readSpec } from '../job-flags.ts'
import { createLossNotes } from '../loss-notes.ts'
import { plain } from '../output.ts'
import { answer, type Job, type JobSpec, type Session } from '../session.ts'
import { onInterrupt } from '../signals.ts'
import { createStatusLine } from '../status-line.ts'
import { submit } from '../submit.ts'

export const run = defineCommand({
  usage: '[FLAGS] [--] CMD [ARGUMENTS]  |  roost run --from FILE|- [FLAGS]',
  flags: {
    ...jobFlags,
    detach: { type: 'boolean', short: 'd', help: 'print the id and leave at once' },
    rm: { type: 'boolean', help: 'Ctrl-C cancels the job instead of leaving it' },
    'unique-name': { type: 'boolean', help: 'refuse where an unfinished job has the same name' },
    'idempotency-key': {
      type: 'string',
      value: 'KEY',
      help: 'the same key and job is one job, however often it is submitted'
    },
    from: {
      type: 'string',
      value: 'FILE',
      help: 'submit a job for each line: a job as JSON, or an array as its command; - = stdin'
    },
    'skip-invalid': {
      type: 'boolean',
      help: 'with --from: leave out lines that are no jobs, and run the others; the exit code is theirs'
    }
  },
  positionals: [0, Infinity],
  endsAtPositional: true,
  completes: 'files',
  notes: [
    "The job outlives this command: when the service restarts, the output goes on where it was. Only the job writes to stdout. The exit code is the job's own; 128 + n where signal n ended it, 124 on a time-out, 130 when cancelled.",
    'With --json: a line with the job, then a line for each frame of its log.'
  ],
  examples: [
    'roost run -- make test',
    'roost run --name nightly --cpu 2 --memory 4Gi --timeout 2h --retries 2 -- ./nightly.sh',
    'roost run --image busybox:1.36 -- echo hello',
    'roost run --from jobs.ndjson'
  ],
  async run(context, values, command) {
    if (values.from !== undefined) {
      if (command.length > 0) throw new UsageError('Give a command or --from, not both')
      const { runBatch } = await import('../batch/batch.ts')
      return await runBatch(context, values)
    }
    if (values['skip-invalid'] === true) throw new UsageError('--skip-invalid goes with --from')
    const session = await context.session()
    const read = await readSpec(values, command, {
      env: context.env,
      stdin: context.stdin,
      cwd: process.cwd(),
      isLocal: session.connection.isLocal
    })
    const spec = await withDependencies(session.client, read)

    const job = await submitUntilInterrupted(context, session, spec, values)
    if (job === null) return exits.detached
    if (context.json) await context.print(`${JSON.stringify(job)}\n`)
    if (values.detach === true) {
      if (!context.json) await context.print(`${job.id}\n`)
      if (context.stderr.isTTY)
        context.note(`  follow it:  roost logs -f ${job.id}\n  its end:    roost wait ${job.id}`)
      return exits.ok
    }
    return await followJob(context, session, job, { cancelsOnInterrupt: values.rm === true })
  }
})

/** The accepted job; null where Ctrl-C came first: what became of the job is said then, and with --rm it is cancelled. */
async function submitUntilInterrupted(
  context: Context,
  session: Session,
  spec: JobSpec,
  {
    rm,
    ...values
  }: { rm?: boolean | undefined; 'idempotency-key'?: string | undefined; 'unique-name'?: boolean | undefined }
): Promise<Job | null> {
  const abort = new AbortController()
  const line = createStatusLine(context.stderr)
  const loss = createLossNotes((text) => {
    line.clear()
    context.note(`roost: ${text}`)
  })
  line.set('submitting')
  const stopListening = onInterrupt((count) => (count > 1 ? process.exit(exits.detached) : abort.abort()))
  try {
    const job = await submit(session, spec, {
      key: values['idempotency-key'],
      uniqueName: values['unique-name'],
      signal: abort.signal,
      mustConnectAtFirst: true,
      onWait: (error) => {
        if (error instanceof Unreachable) loss.lost(plain(error.message))
        line.set(`submitting: ${error.message}; trying again`)
      }
    })
    loss.back()
    if (!abort.signal.aborted) return job
    if (rm === true)
      await answer(session.client.DELETE('/v1/jobs/{id}', { params: { path: { id: job.id } } }))
    line.clear()
    context.note(
      rm === true
        ? `Cancelled ${job.id}`
        : `Detached from ${job.id}; the job goes on. Cancel it with: roost cancel ${job.id}`
    )
  } catch (error) {
    if (!abort.signal.aborted) throw error
    line.clear()
    context.note(
      `Interrupted before an answer came (${(error as Error).message}); "roost ps" tells whether the job was accepted`
    )
  } finally {
    line.clear()
    stopListening()
  }
  return null
}
