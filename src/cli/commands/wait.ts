import { defineCommand } from '../command.ts'
import { CliError, exitOfJob, exits } from '../exit.ts'
import { findId } from '../find-job.ts'
import { limited } from '../limited.ts'
import { createLossNotes, type LossNotes } from '../loss-notes.ts'
import { plain } from '../output.ts'
import { answer, retrying, type Job, type Session } from '../session.ts'
import { onInterrupt } from '../signals.ts'
import { follow } from '../stream.ts'
import { parseDuration } from '../units.ts'
import { stateColour } from './ps.ts'

/** Streams held open at one time. */
const atOnce = 32

export const wait = defineCommand({
  usage: '[FLAGS] ID|NAME…',
  flags: {
    timeout: {
      type: 'string',
      short: 't',
      value: 'TIME',
      help: 'give up after this (exit code 124); the jobs go on'
    }
  },
  positionals: [1, Infinity],
  completes: 'jobs',
  notes: [
    "The exit code is that of the first job, in the order given, that did not succeed, as 'roost run' would have ended."
  ],
  examples: ['roost wait nightly', 'roost wait --timeout 10m $(roost ps -q)'],
  async run(context, values, names) {
    const session = await context.session()
    const abort = new AbortController()
    const timeout = values.timeout === undefined ? null : parseDuration(values.timeout, '--timeout')
    const timer = timeout === null ? null : setTimeout(() => abort.abort('timeout'), timeout * 1000)
    const stopListening = onInterrupt(() => abort.abort('interrupt'))
    try {
      const loss = createLossNotes((text) => context.note(`roost: ${text}`))
      const ids = await limited(names, atOnce, (name) => findId(session.client, name))
      const jobs = await limited(ids, atOnce, async (id) => {
        const job = await untilFinished(session, id, abort.signal, loss)
        if (!context.json)
          await context.print(
            `${id}  ${context.paint(stateColour(job.state), job.state)}${job.message === null ? '' : `  ${plain(job.message)}`}\n`
          )
        return job
      })
      if (context.json) for (const job of jobs) await context.print(`${JSON.stringify(job)}\n`)
      return jobs.map(exitOfJob).find((code) => code !== exits.ok) ?? exits.ok
    } catch (error) {
      if (!abort.signal.aborted) throw error
      if (abort.signal.reason === 'interrupt') return exits.detached
      throw new CliError(
        'timed-out',
        exits.timedOut,
        `Not all of the jobs ended within ${values.timeout}; they go on`
      )
    } finally {
      if (timer !== null) clearTimeout(timer)
      stopListening()
    }
  }
})

/** The job once it has ended. Rejects where the signal comes first. */
export async function untilFinished(
  session: Session,
  id: string,
  signal: AbortSignal,
  loss: LossNotes
): Promise<Job> {
  const onLost = (error: Error) => loss.lost(plain(error.message), id)
  const ask = () =>
    retrying(session, (client) => answer(client.GET('/v1/jobs/{id}', { params: { path: { id } } })), {
      signal,
      onWait: onLost
    })
  for (;;) {
    const job = await ask()
    loss.back(id)
    if (job.finishedAt !== null) return job
    let seen = job.lastSeq
    const frames = follow(session, id, { from: seen + 1, signal, onLost, onBack: () => loss.back(id) })
    for await (const frame of frames) seen = frame.seq
    signal.throwIfAborted()
  }
}
