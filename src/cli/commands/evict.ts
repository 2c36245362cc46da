import { defineCommand } from '../command.ts'
import { isId } from '../find-job.ts'
import { answer } from '../session.ts'
import { parseDuration } from '../units.ts'

export const evict = defineCommand({
  usage: '[FLAGS] ID|POD',
  flags: {
    reason: { type: 'string', value: 'TEXT', help: 'why, for the log and the audit' },
    grace: { type: 'string', value: 'TIME', help: 'between TERM and KILL (default 10s)' },
    namespace: { type: 'string', value: 'NAMESPACE', help: 'of a pod' },
    'no-requeue': { type: 'boolean', help: 'cancel the job instead of putting it back' }
  },
  positionals: [1, 1],
  completes: 'jobs',
  notes: ['An eviction does not count against the attempts of the job. Pods are listed by: roost pods'],
  examples: [
    'roost evict 01k2v7m3c9x8q5r4t6w7y8z9ab --reason "the GPU is needed"',
    'roost evict roost-01k2v7m3c9x8q5r4t6w7y8z9ab-1 --no-requeue'
  ],
  async run(context, values, [target]) {
    const client = await context.client()
    const evicted = await answer(
      client.POST('/evict', {
        body: {
          ...(isId(target!) ? { jobId: target! } : { pod: target! }),
          ...(values.reason === undefined ? {} : { reason: values.reason }),
          ...(values.grace === undefined
            ? {}
            : { gracePeriodSeconds: parseDuration(values.grace, '--grace') }),
          ...(values.namespace === undefined ? {} : { namespace: values.namespace }),
          ...(values['no-requeue'] === true ? { requeue: false } : {})
        }
      })
    )
    if (context.json) return await context.printJson(evicted)
    const what = evicted.pod ?? evicted.jobId ?? target!
    await context.print(
      `${what} is being evicted${evicted.jobId === null ? '' : values['no-requeue'] === true ? '; its job ends' : '; its job goes back into the queue'}\n`
    )
  }
})
