import fp from 'fastify-plugin'
import type { AttemptOrder, Observation, Report, Runtime } from '../../src/contracts/runtime.ts'
import type {} from '../../plugins/runtimes/index.ts'

type Word = Observation extends infer O
  ? O extends Observation
    ? Omit<O, 'name' | 'jobId' | 'attempt' | 'at'>
    : never
  : never

/**
 * Runs `bench/echo` jobs inside the service: each prints one line and succeeds after `task.milliseconds`. All of Roost
 * is in their way (placing, commits, frames, streams) except a process, which would measure the machine's fork instead.
 */
function createEchoRuntime(): Runtime {
  let report: Report = async () => {}
  const ends = new Map<string, { stop: () => void }>()

  const say = (order: AttemptOrder, word: Word) =>
    report({ name: order.name, jobId: order.jobId, attempt: order.attempt, at: Date.now(), ...word })

  async function run(order: AttemptOrder): Promise<void> {
    const { milliseconds = 0 } = order.task as { milliseconds?: number }
    await say(order, { type: 'started', pod: null })
    await say(order, { type: 'output', stream: 'stdout', bytes: Buffer.from('hi\n'), cursor: '3' })
    let stopped = false
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds)
      ends.set(order.name, {
        stop() {
          stopped = true
          clearTimeout(timer)
          resolve()
        }
      })
    })
    ends.delete(order.name)
    await say(
      order,
      stopped
        ? { type: 'exited', exitCode: null, signal: 'SIGTERM', cause: 'stopped' }
        : { type: 'exited', exitCode: 0, signal: null, cause: null }
    )
  }

  return {
    name: 'echo',
    taskTypes: ['bench/echo'],
    taskSchema: {
      type: 'object',
      properties: {
        type: { const: 'bench/echo' },
        milliseconds: { type: 'integer', minimum: 0, maximum: 60_000 }
      },
      additionalProperties: false
    },
    async open(to) {
      report = to
    },
    async start(order) {
      void run(order)
    },
    async adopt(order) {
      await say(order, { type: 'lost', code: 'service-restarted', message: 'It ran inside the service' })
    },
    async stop(name) {
      ends.get(name)?.stop()
    },
    async remove() {},
    async list() {
      return []
    },
    async close() {
      for (const { stop } of ends.values()) stop()
    }
  }
}

export default fp(
  async (app) => {
    app.runtimes.add(createEchoRuntime())
  },
  { name: 'bench-echo', dependencies: ['runtimes'] }
)
