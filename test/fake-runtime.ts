import { RoostError } from '../src/errors.ts'
import { systemClock, type Clock } from '../src/contracts/clock.ts'
import type { AttemptOrder, Observation, Report, Runtime } from '../src/contracts/runtime.ts'
import type { Pod } from '../src/schemas/node.ts'

const againMs = 20

export interface FakeRuntimeOptions {
  /** Takes these task types. */
  taskTypes?: string[]
  /** How each attempt ends by itself; null = it runs until it is stopped or `finish` is called. */
  exitCode?: number | null
  /** So many starts fail first, as retriable. */
  failStarts?: number
  /** So many starts throw first. */
  throwStarts?: number
  /** What each attempt prints. */
  output?: string
  /** What its observations are timed by: that of the app, where the test moves it. */
  clock?: Pick<Clock, 'now'>
}

/**
 * A runtime for the faults that the real ones can't be made to show on order: failing starts, late words of old
 * attempts, ends at a moment of the test's choosing. Everything that runs for real is tested with the process runtime.
 */
export function createFakeRuntime({
  taskTypes = ['test/fake'],
  exitCode = 0,
  failStarts = 0,
  throwStarts = 0,
  output = '',
  clock = systemClock
}: FakeRuntimeOptions = {}) {
  let report: Report = async () => {}
  const running = new Map<string, AttemptOrder>()
  const started: AttemptOrder[] = []
  const adopted: AttemptOrder[] = []
  const stopped: string[] = []

  type Word = Observation extends infer O
    ? O extends Observation
      ? Omit<O, 'name' | 'jobId' | 'attempt' | 'at'>
      : never
    : never

  let isClosed = false

  /** Says it again until it is stored or the service stops, as every runtime must. */
  const say = async (order: AttemptOrder, word: Word): Promise<void> => {
    for (;;) {
      try {
        await report({
          name: order.name,
          jobId: order.jobId,
          attempt: order.attempt,
          at: clock.now(),
          ...word
        })
        return
      } catch (error) {
        if (isClosed) return
        if (!(error instanceof RoostError) || error.code !== 'storage-unavailable') throw error
        await new Promise((resolve) => setTimeout(resolve, againMs))
      }
    }
  }

  async function finish(
    name: string,
    code: number | null,
    signal: string | null = null,
    cause: 'stopped' | 'deadline' | null = null
  ): Promise<void> {
    const order = running.get(name)
    if (order === undefined) return
    running.delete(name)
    await say(order, { type: 'exited', exitCode: code, signal, cause })
  }

  const runtime: Runtime = {
    name: 'fake',
    taskTypes,
    async open(to) {
      report = to
    },
    async start(order) {
      if (throwStarts-- > 0) throw new Error('told to throw')
      started.push(order)
      if (failStarts-- > 0) {
        await say(order, {
          type: 'start-failed',
          code: 'told-to-fail',
          message: 'told to fail',
          retriable: true
        })
        return
      }
      running.set(order.name, order)
      await say(order, { type: 'started', pod: order.name })
      if (output !== '')
        await say(order, { type: 'output', stream: 'stdout', bytes: Buffer.from(output), cursor: '1' })
      if (exitCode !== null) await finish(order.name, exitCode)
    },
    async adopt(order) {
      adopted.push(order)
      // Decided, and no trace of it: it was never begun.
      const isNew = order.startedAt === null && !started.some(({ name }) => name === order.name)
      if (isNew) await runtime.start(order)
      else running.set(order.name, order)
    },
    async stop(name) {
      stopped.push(name)
      await finish(name, null, 'SIGTERM', 'stopped')
    },
    async remove() {},
    async list(): Promise<Pod[]> {
      return [...running.values()].map((order) => ({
        name: order.name,
        namespace: null,
        node: '',
        runtime: 'fake',
        phase: 'Running',
        jobId: order.jobId,
        attempt: order.attempt,
        startedAt: null,
        restarts: 0,
        resources: { cpu: order.resources.cpu, memory: order.resources.memoryBytes, gpu: order.resources.gpu }
      }))
    },
    async close() {
      isClosed = true
    }
  }
  return { runtime, started, adopted, stopped, running, finish, say }
}
