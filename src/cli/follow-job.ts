import type { Context } from './context.ts'
import { exitOfJob, exits } from './exit.ts'
import { createLossNotes } from './loss-notes.ts'
import { plain, write } from './output.ts'
import { answer, retrying, type Job, type Session } from './session.ts'
import { onInterrupt } from './signals.ts'
import { createStatusLine } from './status-line.ts'
import { bytesOf, follow, type LoggedFrame, type LogFrame, type StatusFrame } from './stream.ts'

export interface FollowJobOptions {
  from?: number
  /** Whether Ctrl-C cancels the job instead of leaving it. */
  cancelsOnInterrupt: boolean
}

/** While a job waits, it is asked this often why: the log tells only when the kind of reason changes. */
const askWhyMs = 2_000

/**
 * Shows a job's output as it comes and resolves with the exit code that stands for its end. On Ctrl-C it leaves the
 * job running and says how to come back, or cancels it; then the code is 130.
 */
export async function followJob(
  context: Context,
  session: Session,
  job: Job,
  { from = 1, cancelsOnInterrupt }: FollowJobOptions
): Promise<number> {
  const abort = new AbortController()
  const screen = createScreen(context, job)
  const stopListening = onInterrupt((count) => {
    screen.clear()
    if (!cancelsOnInterrupt || count > 1) {
      context.note(leaving(job.id, cancelsOnInterrupt))
      abort.abort()
      return
    }
    context.note(`Cancelling ${job.id}; Ctrl-C once more to leave at once`)
    retrying(
      session,
      (client) => answer(client.DELETE('/v1/jobs/{id}', { params: { path: { id: job.id } } })),
      { signal: abort.signal }
    ).catch((error: Error) => {
      // It may just have ended by itself; the stream says so.
      if (!abort.signal.aborted) context.note(`Not cancelled: ${error.message}`)
    })
  })
  const asking = screen.askWhy(session)
  try {
    const frames = follow(session, job.id, {
      from,
      signal: abort.signal,
      onLost: (error) => screen.lost(error.message),
      onBack: () => screen.back()
    })
    for await (const frame of frames) await screen.show(frame)
    if (abort.signal.aborted) return exits.detached
    const ended = await retrying(
      session,
      (client) => answer(client.GET('/v1/jobs/{id}', { params: { path: { id: job.id } } })),
      { signal: abort.signal, onWait: (error) => screen.lost(error.message) }
    )
    screen.back()
    screen.end(ended)
    return exitOfJob(ended)
  } catch (error) {
    if (abort.signal.aborted) return exits.detached
    throw error
  } finally {
    clearInterval(asking)
    screen.clear()
    stopListening()
  }
}

const leaving = (id: string, wasCancelling: boolean): string =>
  `${wasCancelling ? 'Left while it is being cancelled.' : 'Detached; the job goes on.'}\n  come back:  roost logs -f ${id}\n  its end:    roost wait ${id}\n  cancel it:  roost cancel ${id}`

/** Writes the bytes to where the job wrote them. With --json each frame is a line of stdout. */
export async function showLog({ json, stdout, stderr }: Context, frame: LogFrame): Promise<void> {
  if (json) return await write(stdout, `${JSON.stringify(frame)}\n`)
  await write(frame.stream === 'stdout' ? stdout : stderr, bytesOf(frame))
  if (frame.truncated !== undefined)
    await write(
      stderr,
      `\nroost: ${frame.truncated} bytes of ${frame.stream} were dropped here: the cap of its log (logCapBytes, or logBytes of a policy) is reached\n`
    )
}

function createScreen(context: Context, job: Job) {
  const { stderr, stdout, json } = context
  const line = createStatusLine(stderr)
  let state = job.state
  let attempt = 0
  /** Where the cursor of the terminal stands after the last output. */
  let atLineStart = true
  const loss = createLossNotes(say)

  /** A line of ours between those of the job; for people only. */
  function note(text: string): void {
    if (stderr.isTTY) say(text)
  }

  function say(text: string): void {
    line.clear()
    if (!atLineStart) stderr.write('\n')
    atLineStart = true
    stderr.write(`${context.paintError('dim', `roost: ${text}`)}\n`)
  }

  function showStatus(frame: StatusFrame): void {
    const before = state
    state = frame.state
    if (frame.attempt !== null) attempt = frame.attempt
    const why = frame.message ?? frame.reason
    if (state === 'running' && frame.reason === null) line.clear()
    else if (state === 'queued' && before !== 'queued')
      note(`attempt ${attempt} has ended: ${why ?? 'it is tried again'}`)
    // Being cancelled is told by its end.
    else if (state === 'running' && frame.reason !== 'cancelling') note(why ?? frame.reason!)
    else if (state !== 'running')
      line.set(`${job.id} is ${state}${why === null || why === undefined ? '' : `: ${why}`}`)
  }

  return {
    async show(frame: LoggedFrame): Promise<void> {
      if (frame.type === 'log') {
        line.clear()
        await showLog(context, frame)
        if (stdout.isTTY) atLineStart = json || frame.text.endsWith('\n')
        return
      }
      if (json) await write(stdout, `${JSON.stringify(frame)}\n`)
      if (frame.type === 'status') showStatus(frame)
    },
    lost: (message: string) => loss.lost(plain(message)),
    back: () => loss.back(),
    /** Keeps the reason of a waiting job fresh, on a terminal. */
    askWhy(session: Session): NodeJS.Timeout | undefined {
      if (!stderr.isTTY) return undefined
      return setInterval(() => {
        if (state !== 'queued' || loss.isAway) return
        session.client.GET('/v1/jobs/{id}', { params: { path: { id: job.id } } }).then(
          ({ data }) => {
            if (data?.state === 'queued' && state === 'queued' && data.message !== null)
              line.set(`${job.id} is queued: ${data.message}`)
          },
          // The stream notices a service that is away, and says so.
          () => {}
        )
      }, askWhyMs).unref()
    },
    clear: () => line.clear(),
    /** What the exit code alone does not say. */
    end(ended: Job): void {
      line.clear()
      if (ended.state === 'succeeded' || json) return
      if (ended.reason === 'exit-nonzero') return note(`${ended.message ?? 'it failed'}`)
      if (!atLineStart) stderr.write('\n')
      stderr.write(
        `roost: job ${ended.id} ${ended.state === 'cancelled' ? 'was cancelled' : 'failed'}: ${ended.message ?? ended.reason ?? 'no reason was given'} (${ended.reason ?? ended.state})\n`
      )
    }
  }
}
