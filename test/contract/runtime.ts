import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import type { AttemptOrder, Observation, Report, Runtime } from '../../src/contracts/runtime.ts'
import type { Task } from '../../src/schemas/job.ts'

/** What a runtime under test has to offer: tasks of its own kind with a known course. */
export interface RuntimeSubject {
  /** The same place every time it is called, as a service finds after a restart. */
  create(): Runtime
  tasks: {
    /** Prints `hello` and a line end, ends well. */
    hello: Task
    /** Ends by itself with exit code 3. */
    fails: Task
    /** Prints `ready` and a line end, then goes on until it is stopped. */
    endless: Task
  }
}

/** Takes observations as a service would, commits them at once, and lets a test wait for them. */
export interface Recorder {
  report: Report
  readonly observations: Observation[]
  /** The first observation, past or to come, that fits. */
  until<T extends Observation['type']>(
    type: T,
    fits?: (observation: Extract<Observation, { type: T }>) => boolean
  ): Promise<Extract<Observation, { type: T }>>
  /** Output so far of an attempt. */
  text(name: string, stream?: 'stdout' | 'stderr'): string
  /** The cursor of the last stored observation. */
  cursor(name: string): string | null
  /** Refuses so many reports as a storage that cannot commit. */
  refuse(count: number): void
}

export function createRecorder(): Recorder {
  const observations: Observation[] = []
  const waiters = new Set<() => void>()
  let refusals = 0
  return {
    observations,
    async report(observation) {
      if (refusals > 0) {
        refusals--
        throw new Error('Nothing was stored')
      }
      observations.push(observation)
      for (const check of waiters) check()
    },
    until(type, fits = () => true) {
      return new Promise((resolve) => {
        const check = () => {
          const found = observations.find(
            (o): o is Extract<Observation, { type: typeof type }> =>
              o.type === type && fits(o as Extract<Observation, { type: typeof type }>)
          )
          if (found === undefined) return
          waiters.delete(check)
          resolve(found)
        }
        waiters.add(check)
        check()
      })
    },
    text(name, stream = 'stdout') {
      const chunks = observations.flatMap((o) =>
        o.type === 'output' && o.name === name && o.stream === stream ? [o.bytes] : []
      )
      return Buffer.concat(chunks).toString()
    },
    cursor(name) {
      const last = observations.findLast(
        (o) => o.name === name && (o.type === 'output' || o.type === 'truncated')
      )
      return last !== undefined && 'cursor' in last ? last.cursor : null
    },
    refuse(count) {
      refusals = count
    }
  }
}

/** An order with a name of its own. */
export function orderOf(task: Task, more: Partial<AttemptOrder> = {}): AttemptOrder {
  const jobId = randomUUID().replaceAll('-', '').slice(0, 26)
  return {
    name: `roost-${jobId}-1`,
    jobId,
    attempt: 1,
    tenant: 'default',
    task,
    env: {},
    resources: { cpu: 0.1, memoryBytes: 2 ** 26, gpu: 0 },
    limits: { cpu: null, memoryBytes: null },
    gpus: [],
    labels: {},
    deadlineAt: null,
    logCapBytes: 2 ** 24,
    user: null,
    startedAt: null,
    cursor: null,
    ...more
  }
}

/** Timers of a runtime do not hold the process; a test that waits for it does. */
export function holdOpen(t: Test): void {
  const timer = setInterval(() => {}, 1000)
  t.teardown(() => clearInterval(timer))
}

/** What every runtime keeps to (src/contracts/runtime.ts). */
export async function runtimeContract(t: Test, { create, tasks }: RuntimeSubject): Promise<void> {
  holdOpen(t)
  async function open(t: Test, recorder = createRecorder()) {
    const runtime = create()
    await runtime.open(recorder.report)
    let isOpen = true
    const close = async () => {
      if (isOpen) await runtime.close()
      isOpen = false
    }
    t.teardown(close)
    return { runtime, recorder, close }
  }

  await t.test('a task is told from its start over its output to its end', async (t) => {
    const { runtime, recorder } = await open(t)
    const order = orderOf(tasks.hello)
    await runtime.start(order)
    const exited = await recorder.until('exited')
    t.match(exited, {
      name: order.name,
      jobId: order.jobId,
      attempt: 1,
      exitCode: 0,
      signal: null,
      cause: null
    })
    t.equal(recorder.text(order.name), 'hello\n')
    t.equal(recorder.observations[0]?.type, 'started')
    t.equal(recorder.observations.at(-1)?.type, 'exited', 'the end comes after all output')
    await runtime.remove(order.name)
    await runtime.remove(order.name)
  })

  await t.test('an exit code is told', async (t) => {
    const { runtime, recorder } = await open(t)
    const order = orderOf(tasks.fails)
    await runtime.start(order)
    t.match(await recorder.until('exited'), { exitCode: 3, signal: null, cause: null })
    await runtime.remove(order.name)
  })

  await t.test('starting twice is starting once', async (t) => {
    const { runtime, recorder } = await open(t)
    const order = orderOf(tasks.hello)
    await Promise.all([runtime.start(order), runtime.start(order)])
    await recorder.until('exited')
    await runtime.start(order)
    t.equal(recorder.text(order.name), 'hello\n')
    t.equal(recorder.observations.filter((o) => o.type === 'exited').length, 1)
    await runtime.remove(order.name)
  })

  await t.test('a stop ends it and says so', async (t) => {
    const { runtime, recorder } = await open(t)
    const order = orderOf(tasks.endless)
    await runtime.start(order)
    await recorder.until('output')
    t.match(await runtime.list(), [
      { name: order.name, jobId: order.jobId, attempt: 1, phase: 'Running', runtime: runtime.name }
    ])
    await runtime.stop(order.name, 5)
    t.equal((await recorder.until('exited')).cause, 'stopped')
    t.same(
      (await runtime.list()).filter((pod) => pod.name === order.name),
      []
    )
    await runtime.remove(order.name)
  })

  await t.test('what could not be stored is reported again, once and in order', async (t) => {
    const { runtime, recorder } = await open(t)
    const order = orderOf(tasks.hello)
    recorder.refuse(2)
    await runtime.start(order)
    await recorder.until('exited')
    t.same(
      recorder.observations.map((o) => o.type),
      ['started', 'output', 'exited']
    )
    t.equal(recorder.text(order.name), 'hello\n')
    await runtime.remove(order.name)
  })

  await t.test('one attempt is reported one observation at a time', async (t) => {
    const recorder = createRecorder()
    let inFlight = 0
    let most = 0
    const runtime = create()
    await runtime.open(async (observation) => {
      most = Math.max(most, ++inFlight)
      await new Promise(setImmediate)
      inFlight--
      await recorder.report(observation)
    })
    t.teardown(() => runtime.close())
    const order = orderOf(tasks.hello)
    await runtime.start(order)
    await recorder.until('exited')
    t.equal(most, 1)
    await runtime.remove(order.name)
  })

  await t.test('work outlives the service and is adopted by the next', async (t) => {
    const first = await open(t)
    const order = orderOf(tasks.endless)
    await first.runtime.start(order)
    await first.recorder.until('output', () => first.recorder.text(order.name).endsWith('ready\n'))
    await first.close()
    const second = await open(t)
    await second.runtime.adopt({ ...order, cursor: first.recorder.cursor(order.name) })
    await second.runtime.stop(order.name, 5)
    t.equal((await second.recorder.until('exited')).cause, 'stopped')
    t.equal(
      first.recorder.text(order.name) + second.recorder.text(order.name),
      'ready\n',
      'nothing is told twice'
    )
    await second.runtime.remove(order.name)
  })

  await t.test('adopting what was never started starts it', async (t) => {
    const { runtime, recorder } = await open(t)
    const order = orderOf(tasks.hello)
    await runtime.adopt(order)
    t.equal((await recorder.until('exited')).exitCode, 0)
    t.equal(recorder.text(order.name), 'hello\n')
    await runtime.remove(order.name)
  })
}
