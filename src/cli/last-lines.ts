import type { Job, Session } from './session.ts'
import { bytesOf, follow, type LogFrame } from './stream.ts'

const newline = 10

/**
 * The last `count` lines that a job printed up to its present lastSeq, as frames; the first is cut where its line
 * begins. A line may span frames and a frame hold many lines, so ever more of the end is read until it is enough.
 */
export async function lastLines(
  session: Session,
  job: Job,
  count: number,
  attempt: number | null,
  signal: AbortSignal
): Promise<LogFrame[]> {
  if (count === 0) return []
  for (let wanted = count; ; wanted *= 4) {
    const frames: LogFrame[] = []
    const from = Math.max(1, job.lastSeq - wanted + 1)
    for await (const frame of follow(session, job.id, { from, signal })) {
      if (frame.type === 'log' && (attempt === null || frame.attempt === attempt)) frames.push(frame)
      if (frame.seq === job.lastSeq) break
    }
    const lines = cutToLines(frames, count)
    if (lines !== null || from === 1 || signal.aborted) return lines ?? frames
  }
}

/** Null where the frames hold fewer whole lines than `count`. A last line without its end counts too. */
function cutToLines(frames: readonly LogFrame[], count: number): LogFrame[] | null {
  let ends = 0
  for (let i = frames.length - 1; i >= 0; i--) {
    const bytes = bytesOf(frames[i]!)
    for (let at = bytes.length - 1; at >= 0; at--) {
      // The newline at the very end belongs to the last line.
      if (bytes[at] !== newline || (i === frames.length - 1 && at === bytes.length - 1)) continue
      if (++ends < count) continue
      const rest = bytes.subarray(at + 1)
      const cut =
        rest.length === 0
          ? []
          : [{ ...frames[i]!, text: rest.toString('base64'), encoding: 'base64' as const }]
      return [...cut, ...frames.slice(i + 1)]
    }
  }
  return null
}
