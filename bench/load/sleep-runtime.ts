import { spawn, type ChildProcess } from 'node:child_process'
import fp from 'fastify-plugin'
import type { Observation, Report } from '../../src/contracts/runtime.ts'
import type {} from '../../plugins/runtimes/index.ts'

/**
 * A runtime for the bench of fair share: each attempt is a real process that sleeps. The process runtime refuses jobs of
 * several tenants on one account, and accounts are the machine's to make.
 */
export default fp(
  async (app) => {
    let report: Report = async () => {}
    const running = new Map<string, ChildProcess>()
    app.runtimes.add({
      name: 'bench-sleep',
      taskTypes: ['bench/sleep'],
      taskSchema: {
        type: 'object',
        required: ['type', 'seconds'],
        properties: { type: { const: 'bench/sleep' }, seconds: { type: 'number', exclusiveMinimum: 0 } },
        additionalProperties: false
      },
      async open(to) {
        report = to
      },
      async start({ name, jobId, attempt, task }) {
        const { seconds } = task as unknown as { seconds: number }
        const child = spawn('sleep', [String(seconds)], { stdio: 'ignore' })
        running.set(name, child)
        const of = () => ({ name, jobId, attempt, at: Date.now() })
        const started = report({ ...of(), type: 'started', pod: null } satisfies Observation)
        child.once('exit', (exitCode, signal) => {
          running.delete(name)
          void started.then(() => report({ ...of(), type: 'exited', exitCode, signal, cause: null }))
        })
      },
      async adopt({ name, jobId, attempt }) {
        await report({
          name,
          jobId,
          attempt,
          at: Date.now(),
          type: 'lost',
          code: 'restarted',
          message: 'It was the child of the service'
        })
      },
      async stop(name) {
        running.get(name)?.kill()
      },
      async remove() {},
      list: async () => [],
      async close() {
        for (const child of running.values()) child.kill()
      }
    })
  },
  { name: 'bench-sleep', dependencies: ['runtimes'] }
)
