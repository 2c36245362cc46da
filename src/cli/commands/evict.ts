import { defineCommand } from '../command.ts'
import { ApiError, CliError, exits } from '../exit.ts'
import { findJobOrNull, isId } from '../find-job.ts'
import { answer } from '../session.ts'
import { parseDuration } from '../units.ts'

/** Only a workload of Roost says by its form that it is no job's name. */
const podOfRoost = /^roost-[0-9a-hjkmnp-tv-z]{26}-\d+$/

export const evict = defineCommand({
  usage: '[FLAGS] ID|NAME|POD',
  flags: {
    reason: { type: 'string', value: 'TEXT', help: 'why, for the log and the audit' },
    grace: { type: 'string', value: 'TIME', help: 'between TERM and KILL (default 10s)' },
    namespace: { type: 'string', value: 'NAMESPACE', help: 'of a pod; what is named is a pod then' },
    'no-requeue': { type: 'boolean', help: 'cancel the job instead of putting it back' }
  },
  positionals: [1, 1],
  completes: 'jobs',
  notes: [
    'A NAME means the newest job of that name, else a pod. An eviction does not count against the attempts of the job. Pods are listed by: roost pods'
  ],
  examples: [
    'roost evict nightly --reason "the GPU is needed"',
    'roost evict roost-01k2v7m3c9x8q5r4t6w7y8z9ab-1 --no-requeue'
  ],
  async run(context, values, [target]) {
    const client = await context.client()
    const { namespace } = values
    const isPod = namespace !== undefined || podOfRoost.test(target!)
    const job = isPod || isId(target!) ? null : await findJobOrNull(client, target!)
    const jobId = isId(target!) && !isPod ? target! : job?.id
    const evicted = await answer(
      client.POST('/evict', {
        body: {
          ...(jobId === undefined ? { pod: target! } : { jobId }),
          ...(values.reason === undefined ? {} : { reason: values.reason }),
          ...(values.grace === undefined
            ? {}
            : { gracePeriodSeconds: parseDuration(values.grace, '--grace') }),
          ...(namespace === undefined ? {} : { namespace }),
          ...(values['no-requeue'] === true ? { requeue: false } : {})
        }
      })
    ).catch((error: unknown) => {
      if (isPod || !(error instanceof ApiError) || error.code !== 'pod-not-found') throw error
      throw new CliError(
        error.code,
        exits.failed,
        `No job and no workload is named ${JSON.stringify(target)}`,
        { remedy: 'See them with: roost ps, roost pods', cause: error }
      )
    })
    if (context.json) return await context.printJson(evicted)
    const what = evicted.pod ?? evicted.jobId ?? target!
    await context.print(
      `${what} is being evicted${evicted.jobId === null ? '' : values['no-requeue'] === true ? '; its job ends' : '; its job goes back into the queue'}\n`
    )
  }
})
