import { defineCommand } from '../command.ts'
import type { Context } from '../context.ts'
import { findJob } from '../find-job.ts'
import { ago, duration, number, plain } from '../output.ts'
import type { Job } from '../session.ts'
import { commandOf, ranFor, stateColour } from './ps.ts'

export const get = defineCommand({
  usage: 'ID|NAME',
  flags: {},
  positionals: [1, 1],
  completes: 'jobs',
  notes: ['A NAME means the newest job of that name.'],
  examples: ['roost get nightly', 'roost get 01k2v7m3c9x8q5r4t6w7y8z9ab --json'],
  async run(context, _values, [id]) {
    const job = await findJob(await context.client(), id!)
    if (context.json) return await context.printJson(job)
    await printJob(context, job)
  }
})

async function printJob(context: Context, job: Job): Promise<void> {
  const now = Date.now()
  const { spec } = job
  const time = (at: string | null) => (at === null ? null : `${at} (${ago(at, now)})`)
  const list = (record: Record<string, string> | undefined) =>
    record === undefined
      ? null
      : Object.entries(record)
          .map(([key, value]) => `${key}=${plain(value)}`)
          .join(' ')
  const ran = ranFor(job, now)
  const lines: [string, string | null][] = [
    ['id', job.id],
    ['name', job.name],
    [
      'state',
      `${context.paint(stateColour(job.state), job.state)}${job.reason === null ? '' : ` (${job.reason})`}`
    ],
    ['why', job.message === null ? null : plain(job.message)],
    ['exit code', job.result?.exitCode == null ? null : String(job.result.exitCode)],
    ['command', commandOf(job, 2_000)],
    ['folder', 'cwd' in spec.task && typeof spec.task.cwd === 'string' ? spec.task.cwd : null],
    ['created', time(job.createdAt)],
    ['started', time(job.startedAt)],
    ['finished', time(job.finishedAt)],
    ['ran', ran],
    ['node', job.node],
    [
      'asks for',
      spec.resources === undefined
        ? null
        : Object.entries(spec.resources)
            .map(([key, value]) => `${key} ${typeof value === 'number' ? number(value) : value}`)
            .join(', ')
    ],
    ['priority', spec.priority === undefined ? null : String(spec.priority)],
    ['time-out', spec.timeoutSeconds === undefined ? null : duration(spec.timeoutSeconds * 1000)],
    ['labels', list(spec.labels)],
    ['variables', spec.env === undefined ? null : Object.keys(spec.env).join(' ')],
    ['secrets', list(spec.secrets)],
    ['depends on', spec.dependsOn?.join(' ') ?? null],
    ['tenant', job.tenant === 'default' ? null : job.tenant],
    ['log', `${job.lastSeq} frames: roost logs ${job.id}`]
  ]
  const text = lines
    .filter(([, value]) => value !== null && value !== '')
    .map(([key, value]) => `${context.paint('dim', key.padEnd(10))}  ${value}`)
  await context.print(`${text.join('\n')}\n`)
  if (job.attempts.length === 0) return
  await context.print('\n')
  const rows = job.attempts.map((attempt) => [
    String(attempt.number),
    attempt.state,
    attempt.runtime,
    attempt.signal ?? (attempt.exitCode === null ? '-' : String(attempt.exitCode)),
    attempt.startedAt === null
      ? '-'
      : duration(
          (attempt.finishedAt === null ? now : Date.parse(attempt.finishedAt)) - Date.parse(attempt.startedAt)
        ),
    attempt.reason ?? '-',
    attempt.pod ?? '-'
  ])
  await context.printTable(['ATTEMPT', 'STATE', 'RUNTIME', 'EXIT', 'RAN', 'REASON', 'WORKLOAD'], rows)
}
