import type { Context } from '../context.ts'
import { defineCommand } from '../command.ts'
import { exits } from '../exit.ts'
import { withDependencies } from '../find-job.ts'
import { jobFlags, readSpec } from '../job-flags.ts'
import { number, plain } from '../output.ts'
import type { Schemas } from '../session.ts'
import { plan as explain } from '../submit.ts'

export const plan = defineCommand({
  usage: '[FLAGS] [--] CMD [ARGUMENTS]',
  flags: jobFlags,
  positionals: [0, Infinity],
  endsAtPositional: true,
  completes: 'files',
  notes: [
    'Nothing is stored. The exit code is 0 where the job would start now, if need be by preempting others; else 1.'
  ],
  examples: ['roost plan --gpu 1 --memory 8Gi -- python train.py'],
  async run(context, values, command) {
    const session = await context.session()
    const read = await readSpec(values, command, {
      env: context.env,
      stdin: context.stdin,
      cwd: process.cwd(),
      isLocal: session.connection.isLocal
    })
    const spec = await withDependencies(session.client, read)
    const placement = await explain(session, spec)
    if (context.json) await context.printJson(placement)
    else await printPlacement(context, placement)
    const { choice, queue, refusal } = placement
    if (refusal != null) return exits.failed
    if (queue != null) return queue.reason === 'preempting' ? exits.ok : exits.failed
    return choice === null ? exits.failed : exits.ok
  }
})

/** The candidates with the parts of their scores, best first, then the nodes left out with every reason. */
export async function printPlacement(
  context: Context,
  { choice, candidates, filtered, queue, refusal }: Schemas['Placement']
): Promise<void> {
  const { paint } = context
  if (candidates.length > 0) {
    const parts = [...new Set(candidates.flatMap(({ scores }) => Object.keys(scores)))]
    const rows = candidates.map(({ node, name, runtime, score, scores }) => [
      node === choice ? paint('green', `→ ${plain(name)}`) : `  ${plain(name)}`,
      runtime,
      number(score),
      ...parts.map((part) => (scores[part] === undefined ? '-' : number(scores[part])))
    ])
    await context.printTable(['  NODE', 'RUNTIME', 'SCORE', ...parts.map((part) => part.toUpperCase())], rows)
  } else {
    await context.print('No node can take it now.\n')
  }
  if (filtered.length > 0) {
    const rows = filtered.flatMap(({ name, reasons }) =>
      reasons.map(({ code, message, permanent }, i) => [
        i === 0 ? `  ${plain(name)}` : '',
        code,
        permanent ? paint('red', 'never') : 'not now',
        plain(message)
      ])
    )
    if (candidates.length > 0) await context.print('\n')
    await context.printTable(['  LEFT OUT', 'REASON', 'WHEN', 'WHY'], rows)
  }
  if (refusal != null)
    return await context.print(`\nIt would be refused (${refusal.code}): ${plain(refusal.message)}\n`)
  if (queue == null) return
  if (queue.reason === 'preempting')
    return await context.print(`\nIt would start by preempting: ${plain(queue.message)}\n`)
  await context.print(`\nIt would wait (${queue.reason}): ${plain(queue.message)}\n`)
}
