import { defineCommand } from '../command.ts'
import { ApiError, exits, UsageError } from '../exit.ts'
import { findId } from '../find-job.ts'
import { limited } from '../limited.ts'
import { answer, type Job } from '../session.ts'
import { parseDuration, parsePair } from '../units.ts'
import { listJobs } from './ps.ts'

const atOnce = 16

export const cancel = defineCommand({
  usage: '[FLAGS] ID|NAME…  |  roost cancel --label K=V',
  flags: {
    label: {
      type: 'string',
      short: 'l',
      value: 'K=V',
      multiple: true,
      help: 'every unfinished job with this label; with --purge every finished one'
    },
    purge: { type: 'boolean', help: 'remove jobs that have ended, for good, with their logs' },
    reason: { type: 'string', value: 'TEXT', help: 'why, for the log and the audit' },
    grace: { type: 'string', value: 'TIME', help: 'between TERM and KILL' }
  },
  positionals: [0, Infinity],
  completes: 'jobs',
  notes: [
    'Resolves when the cancellation is stored; "roost wait" tells when the job has ended. A job that has ended already is no failure of the others.'
  ],
  examples: [
    'roost cancel nightly',
    'roost cancel --label team=a --reason "wrong input"',
    'roost cancel --purge --label team=a'
  ],
  async run(context, values, names) {
    if ((names.length === 0) === (values.label === undefined))
      throw new UsageError('Give ids or names, or --label', 'See what runs with: roost ps')
    const purges = values.purge === true
    for (const flag of ['reason', 'grace'] as const)
      if (purges && values[flag] !== undefined)
        throw new UsageError(`--${flag} is for jobs that have not ended; --purge removes those that have`)
    const client = await context.client()
    const query = {
      ...(purges ? { purge: true } : {}),
      ...(values.reason === undefined ? {} : { reason: values.reason }),
      ...(values.grace === undefined ? {} : { gracePeriodSeconds: parseDuration(values.grace, '--grace') })
    }
    const ids =
      values.label === undefined
        ? await limited(names, atOnce, (name) => findId(client, name))
        : (
            await listJobs(
              client,
              {
                state: purges ? 'succeeded,failed,cancelled' : 'queued,scheduled,running',
                label: values.label.map((text) => parsePair(text, '--label').join('=')).join(',')
              },
              Infinity
            )
          ).items.map(({ id }) => id)
    const failures: ApiError[] = []
    await limited(ids, atOnce, async (id) => {
      let job: Job | undefined
      try {
        job = await answer(client.DELETE('/v1/jobs/{id}', { params: { path: { id }, query } }))
      } catch (error) {
        // One that cannot be cancelled does not save the others.
        if (!(error instanceof ApiError) || ids.length === 1) throw error
        failures.push(error)
        context.note(context.json ? JSON.stringify(error.toProblem()) : `roost: ${id}: ${error.message}`)
        return
      }
      // What was removed is not answered.
      if (job === undefined)
        return await context.print(
          context.json ? `${JSON.stringify({ id, purged: true })}\n` : `${id} is removed\n`
        )
      await context.print(
        context.json
          ? `${JSON.stringify(job)}\n`
          : `${id} ${job.state === 'cancelled' ? 'is cancelled' : 'is being cancelled'}\n`
      )
    })
    if (ids.length === 0)
      context.note(`No job matches: no ${purges ? 'finished' : 'unfinished'} one has that label`)
    return failures.length === 0 ? exits.ok : exits.failed
  }
})
