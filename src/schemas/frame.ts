import { Type, type Static } from '@sinclair/typebox'
import { nullable, ref, stringEnum } from './ref.ts'
import { JobState } from './job.ts'

const seq = Type.Integer({ minimum: 1, description: '1, 2, 3, … without holes within a job.' })
const time = Type.String({ format: 'date-time' })

export const StatusFrame = Type.Object(
  {
    type: Type.Literal('status'),
    seq,
    time,
    state: ref(JobState),
    attempt: nullable(Type.Integer()),
    node: nullable(Type.String()),
    reason: nullable(Type.String()),
    message: Type.Optional(Type.String())
  },
  { $id: 'StatusFrame', additionalProperties: false }
)
export const LogFrame = Type.Object(
  {
    type: Type.Literal('log'),
    seq,
    time,
    attempt: Type.Integer(),
    stream: stringEnum(['stdout', 'stderr'] as const),
    text: Type.String({ description: 'At most 64 KiB; base64 where `encoding` says so.' }),
    encoding: Type.Optional(Type.Literal('base64')),
    truncated: Type.Optional(
      Type.Integer({ minimum: 1, description: 'Bytes that were dropped here because of the log cap.' })
    )
  },
  { $id: 'LogFrame', additionalProperties: false }
)
export const ResultFrame = Type.Object(
  {
    type: Type.Literal('result'),
    seq,
    time,
    state: Type.Literal('succeeded'),
    exitCode: nullable(Type.Integer()),
    output: Type.Unknown()
  },
  { $id: 'ResultFrame', additionalProperties: false, description: 'The last frame of a job that succeeded.' }
)
export const ErrorFrame = Type.Object(
  {
    type: Type.Literal('error'),
    seq,
    time,
    state: stringEnum(['failed', 'cancelled'] as const),
    code: Type.String(),
    message: Type.String(),
    exitCode: nullable(Type.Integer())
  },
  {
    $id: 'ErrorFrame',
    additionalProperties: false,
    description: 'The last frame of a job that failed or was cancelled.'
  }
)
export const HeartbeatFrame = Type.Object(
  { type: Type.Literal('heartbeat'), time, lastSeq: Type.Integer({ minimum: 0 }) },
  {
    $id: 'HeartbeatFrame',
    additionalProperties: false,
    description: 'After 15 s of silence; not in the log.'
  }
)
export const Frame = Type.Union(
  [ref(StatusFrame), ref(LogFrame), ref(ResultFrame), ref(ErrorFrame), ref(HeartbeatFrame)],
  { $id: 'Frame' }
)

export type StatusFrame = Static<typeof StatusFrame>
export type LogFrame = Static<typeof LogFrame>
export type ResultFrame = Static<typeof ResultFrame>
export type ErrorFrame = Static<typeof ErrorFrame>
export type HeartbeatFrame = Static<typeof HeartbeatFrame>
export type Frame = Static<typeof Frame>

/** A frame of the log (every kind but the heartbeat). */
export type LoggedFrame = StatusFrame | LogFrame | ResultFrame | ErrorFrame

type WithoutSeq<T> = T extends unknown ? Omit<T, 'seq'> : never
/** A frame before the log has given it its seq. */
export type FrameBody = WithoutSeq<LoggedFrame>
