import t from 'tap'
import { createProcessRuntime } from '../../plugins/runtimes/process/process.ts'
import { runtimeContract } from './runtime.ts'

const sh = (script: string) => ({ type: 'process' as const, command: ['sh', '-c', script] })

await t.test('process', async (t) => {
  const dataDir = t.testdir()
  await runtimeContract(t, {
    create: () => createProcessRuntime({ dataDir, log: { warn: (details, message) => t.comment(message, details) } }),
    tasks: { hello: sh('echo hello'), fails: sh('exit 3'), endless: sh('echo ready; exec sleep 1000') }
  })
})
