import { Writable } from 'node:stream'
import { loadConfig } from '../src/config/load.ts'
import type { Config } from '../src/config/schema.ts'
import { createApp, type AppOptions } from '../src/app.ts'
import { createReplyCheck } from '../src/validation.ts'
import type { Runtime } from '../src/contracts/runtime.ts'

/** The part of a tap test that the builders need. */
export interface TestLike {
  testdir(): string
  teardown(end: () => unknown): void
}

export const testToken = 'test-token-0123456789abcdef'

/** A log that a test can read. */
export function memoryLog() {
  const lines: string[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString())
      done()
    }
  })
  return { lines, stream }
}

/** The app with production's options on a folder of its own; closed at the end of the test. */
export async function build(
  t: TestLike,
  { limits, ...overrides }: Partial<Omit<Config, 'limits'>> & { limits?: Partial<Config['limits']> } = {},
  { runtimes = [], ...options }: AppOptions & { runtimes?: Runtime[] } = {}
) {
  const { config } = loadConfig(
    ['--data-dir', overrides.dataDir ?? t.testdir(), '--port', '0', '--log-level', 'warn'],
    { ROOST_TOKEN: testToken }
  )
  const log = memoryLog()
  const app = await createApp(
    {
      ...config,
      // A busy machine is no fault of what is tested.
      limits: { ...config.limits, eventLoopDelayMs: 0, ...limits },
      ...overrides
    },
    { logTo: log.stream, serializerCompiler: createReplyCheck(), ...options }
  )
  t.teardown(() => app.close())
  for (const runtime of runtimes) app.runtimes.add(runtime)
  return Object.assign(app, { logLines: log.lines })
}

export const asAdmin = { authorization: `Bearer ${testToken}`, host: 'localhost' }
