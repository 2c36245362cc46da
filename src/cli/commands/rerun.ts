import { defineCommand } from '../command.ts'
import { findId } from '../find-job.ts'
import { followJob } from '../follow-job.ts'
import { answer } from '../session.ts'

export const rerun = defineCommand({
  usage: '[FLAGS] ID|NAME',
  flags: {
    follow: { type: 'boolean', short: 'f', help: "follow the new job as 'roost run' does" },
    rm: { type: 'boolean', help: 'with --follow: Ctrl-C cancels the job instead of leaving it' }
  },
  positionals: [1, 1],
  completes: 'jobs',
  notes: ['A job of its own with the same spec, without what it depended on. Prints its id.'],
  examples: ['roost rerun nightly --follow'],
  async run(context, values, [idOrName]) {
    const session = await context.session()
    const id = await findId(session.client, idOrName!)
    const job = await answer(session.client.POST('/v1/jobs/{id}/rerun', { params: { path: { id } } }))
    if (values.follow !== true)
      return context.json ? await context.printJson(job) : await context.print(`${job.id}\n`)
    if (context.json) await context.print(`${JSON.stringify(job)}\n`)
    return await followJob(context, session, job, { cancelsOnInterrupt: values.rm === true })
  }
})
