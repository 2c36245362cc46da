import { existsSync } from 'node:fs'
import t from 'tap'
import { createProcessRuntime } from '../../plugins/runtimes/process/process.ts'
import { folderFor } from '../fixtures/process-runtime.ts'
import { runtimeContract } from './runtime.ts'

const sh = (script: string) => ({ type: 'process' as const, command: ['sh', '-c', script] })

for (const shell of ['/bin/dash', '/bin/bash', '/bin/sh']) {
  await t.test(
    `process, its shim under ${shell}`,
    { skip: existsSync(shell) ? false : `there is no ${shell}` },
    async (t) => {
      const dataDir = folderFor(t)
      await runtimeContract(t, {
        create: () =>
          createProcessRuntime({
            dataDir,
            shell,
            log: { warn: (details, message) => t.comment(message, details) }
          }),
        tasks: { hello: sh('echo hello'), fails: sh('exit 3'), endless: sh('echo ready; exec sleep 1000') }
      })
    }
  )
}
