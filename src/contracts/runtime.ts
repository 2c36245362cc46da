import type { Task } from '../schemas/job.ts'
import type { Pod } from '../schemas/node.ts'

/** What is to be started: one attempt of one job. `name` is deterministic, so starting twice is starting once. */
export interface AttemptOrder {
  /** roost-<job id>-<attempt number> */
  name: string
  jobId: string
  /** The attempt number, which is the fencing token. */
  attempt: number
  tenant: string
  /** The account of this machine that a policy names for it; null: the runtime's own. */
  user: string | null
  task: Task
  /** The job's own variables, secrets resolved. Never stored by Roost's database; a runtime keeps them 0600 at most. */
  env: Record<string, string>
  resources: { cpu: number; memoryBytes: number; gpu: number }
  limits: { cpu: number | null; memoryBytes: number | null }
  /** Indexes of the GPUs handed out to this attempt. */
  gpus: number[]
  labels: Record<string, string>
  /** Wall time (ms since the epoch) after which the attempt must end even with no service alive; null = none. */
  deadlineAt: number | null
  /** Most bytes of output kept per attempt and stream; the rest is dropped at its source and told. */
  logCapBytes: number
  /** When it was first seen running; null where that was never reported. Such an attempt is never started again. */
  startedAt: number | null
  /** Where the log stands already: the `cursor` of the last stored observation; null at the first start. */
  cursor: string | null
}

/** What a runtime tells of an attempt. `cursor` is opaque to all but the runtime and stored with the output. */
export type Observation = { name: string; jobId: string; attempt: number; at: number } & (
  | { type: 'started'; pod: string | null }
  | { type: 'output'; stream: 'stdout' | 'stderr'; bytes: Uint8Array; cursor: string }
  | { type: 'truncated'; stream: 'stdout' | 'stderr'; bytes: number; cursor: string }
  /** The work ended by itself or was ended; `cause` says when it was Roost that ended it. */
  | {
      type: 'exited'
      exitCode: number | null
      signal: string | null
      cause: 'deadline' | 'stopped' | 'out-of-memory' | null
    }
  /** It could not be started, and no copy of it ever ran. `retriable`: another try or node may do better. */
  | { type: 'start-failed'; code: string; message: string; retriable: boolean }
  /** Silent for now; nothing is decided. */
  | { type: 'unknown'; message: string }
  /** Gone for good without a word on how it ended; nothing of it runs any more. */
  | { type: 'lost'; code: string; message: string }
)

/**
 * Takes an observation and resolves once it is committed. A runtime awaits it before it reports more of the same
 * attempt, so that a fast writer is held back by the disk and not by memory (docs/decisions/003-observations.md).
 * A rejection means that nothing is known to be stored: the runtime reports the same observation again later, with the
 * same cursor, by which output that was stored after all is known.
 */
export type Report = (observation: Observation) => Promise<void>

export interface Runtime {
  readonly name: string
  /** The `task.type`s that it takes. */
  readonly taskTypes: readonly string[]
  /** JSON schema of an extension's own task type; checked when a job is submitted. */
  readonly taskSchema?: object
  /** Called once before any other call. */
  open(report: Report): Promise<void>
  /**
   * Starts the attempt, or adopts it where its name is there already. Resolves when the work is surely begun or will
   * surely be told of by an observation; rejects only where nothing was begun.
   */
  start(order: AttemptOrder): Promise<void>
  /**
   * After a restart of the service: goes on observing an attempt that was started before, or reports `lost`, or
   * starts it where `start` had been decided but no trace of it exists.
   */
  adopt(order: AttemptOrder): Promise<void>
  /** Asks the work to end: TERM, `graceSeconds`, KILL. The end is told by an `exited` observation. */
  stop(name: string, graceSeconds: number): Promise<void>
  /** Moves the deadline of a running attempt. */
  renew?(name: string, deadlineAt: number | null): Promise<void>
  /** Removes what is left of an attempt whose end is committed (files, pods). Idempotent. */
  remove(name: string): Promise<void>
  /** At start: removes what is left of attempts that are not in `kept` (a crash came between their end and `remove`). */
  sweep?(kept: ReadonlySet<string>): Promise<void>
  /** Everything that runs here now, also what Roost did not start where the runtime can see it. */
  list(): Promise<Pod[]>
  /** Ends a workload that is no attempt of ours (evict by pod name). */
  evict?(pod: string, options: { namespace: string | null; graceSeconds: number }): Promise<void>
  /**
   * Of a runtime whose attempts run as users of this machine: why the tenant's cannot run as `user` (null: its own), or
   * null. Cheap: it is asked for every job.
   */
  findUserFault?(tenant: string, user: string | null): string | null
  /** One line for /health: how limits are enforced, what is missing. */
  describeLimits?(): string
  /** Stops observing; what runs goes on running. */
  close(): Promise<void>
}
