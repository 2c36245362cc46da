import { defineCommand } from '../command.ts'
import type { Context } from '../context.ts'
import { exits } from '../exit.ts'
import { plain } from '../output.ts'
import { checkMachine, checkService, type Check } from '../checks.ts'

const colours = { ok: 'green', warn: 'yellow', fail: 'red' } as const

export const doctor = defineCommand({
  usage: '[FLAGS]',
  flags: {
    config: {
      type: 'string',
      value: 'FILE',
      help: 'roost.yaml that the service was started with (default: ROOST_CONFIG)'
    }
  },
  positionals: [0, 0],
  notes: ['Exit code 1 where a check failed.'],
  examples: ['roost doctor', 'roost doctor --config /etc/roost.yaml', 'roost doctor --json'],
  async run(context, values) {
    const checks: Check[] = []
    for await (const check of both(context, values.config)) {
      checks.push(check)
      if (context.json) continue
      const { name, state, message, remedy } = check
      const lines = message
        .split('\n')
        .map(plain)
        .join(`\n${' '.repeat(22)}`)
      await context.print(
        `${context.paint(colours[state], state.padEnd(4))}  ${name.padEnd(14)}  ${lines}\n${remedy === null ? '' : `${' '.repeat(22)}${context.paint('dim', '→')} ${plain(remedy)}\n`}`
      )
    }
    if (context.json) await context.printJson({ ok: checks.every(({ state }) => state !== 'fail'), checks })
    return checks.some(({ state }) => state === 'fail') ? exits.failed : exits.ok
  }
})

async function* both(context: Context, configFile: string | undefined): AsyncGenerator<Check> {
  yield* checkMachine(context, configFile)
  yield* checkService(context)
}
