import { defineCommand } from '../command.ts'
import { exits, UsageError } from '../exit.ts'
import { findJob } from '../find-job.ts'
import { showLog } from '../follow-job.ts'
import { lastLines } from '../last-lines.ts'
import { createLossNotes } from '../loss-notes.ts'
import { plain, write } from '../output.ts'
import { onInterrupt } from '../signals.ts'
import { follow } from '../stream.ts'
import { parseInteger } from '../units.ts'

export const logs = defineCommand({
  usage: '[FLAGS] ID|NAME',
  flags: {
    follow: { type: 'boolean', short: 'f', help: 'go on until the job ends' },
    from: { type: 'string', value: 'SEQ', help: 'begin with this frame (inclusive)' },
    tail: { type: 'string', short: 'n', value: 'N', help: 'begin with the last N lines' },
    attempt: { type: 'string', value: 'N', help: 'only what this attempt printed' }
  },
  positionals: [1, 1],
  completes: 'jobs',
  notes: [
    "What the job wrote to stderr comes on stderr. The exit code says whether the log could be read; 'roost wait' tells the job's.",
    'With --json: a line for each frame, also those of states and of the end.'
  ],
  examples: ['roost logs -f nightly', 'roost logs --tail 20 nightly', 'roost logs --from 120 --json nightly'],
  async run(context, values, [idOrName]) {
    if (values.from !== undefined && values.tail !== undefined)
      throw new UsageError('Give --from or --tail, not both')
    const attempt = values.attempt === undefined ? null : parseInteger(values.attempt, '--attempt', 1)
    const tail = values.tail === undefined ? null : parseInteger(values.tail, '--tail', 0, 1_000_000)
    const session = await context.session()
    const job = await findJob(session.client, idOrName!)
    const last = values.follow === true ? Infinity : job.lastSeq
    const abort = new AbortController()
    const stopListening = onInterrupt(() => abort.abort())
    let from = values.from === undefined ? 1 : parseInteger(values.from, '--from', 1)
    try {
      if (tail !== null) {
        const lines = await lastLines(session, job, tail, attempt, abort.signal)
        for (const frame of lines) await showLog(context, frame)
        from = job.lastSeq + 1
      }
      if (from > last) return exits.ok
      const loss = createLossNotes((text) => context.note(`roost: ${text}`))
      const frames = follow(session, job.id, {
        from,
        signal: abort.signal,
        onLost: (error) => loss.lost(plain(error.message)),
        onBack: () => loss.back()
      })
      for await (const frame of frames) {
        if (frame.type !== 'log') {
          if (context.json) await write(context.stdout, `${JSON.stringify(frame)}\n`)
        } else if (attempt === null || frame.attempt === attempt) {
          await showLog(context, frame)
        }
        if (frame.seq >= last) break
      }
      return abort.signal.aborted ? exits.detached : exits.ok
    } finally {
      stopListening()
    }
  }
})
