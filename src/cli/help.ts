import { commands, type Entry } from './commands.ts'
import { globalFlags, type Command, type Flags } from './command.ts'

const groups: Record<Entry['group'], string> = {
  service: 'The service',
  jobs: 'Jobs',
  nodes: 'Nodes',
  access: 'Access',
  more: 'More'
}

/** `roost --help`. */
export function overview(): string {
  const entries = Object.entries(commands)
  const wide = Math.max(...entries.map(([name]) => name.length))
  const parts = Object.entries(groups).map(([group, title]) => {
    const lines = entries
      .filter(([, entry]) => entry.group === group)
      .map(([name, { summary }]) => `  ${name.padEnd(wide)}  ${summary}`)
    return `${title}\n${lines.join('\n')}\n`
  })
  return `roost runs jobs on the machines you already own.

Usage: roost COMMAND [FLAGS] [ARGUMENTS]

${parts.join('\n')}
Every command takes --json, --url URL, --data-dir DIR and --help. "roost COMMAND --help" shows more.
Exit codes: 0 done, 1 failed (run and wait: the job's own), 64 usage or a request that is not valid,
69 no service, 77 not allowed, 130 detached.
`
}

/** `roost NAME --help`. */
export function pageOf(name: keyof typeof commands, command: Command): string {
  const { summary } = commands[name]
  const parts = [
    `roost ${name}: ${summary}`,
    `Usage: ${`roost ${name} ${command.usage}`.trimEnd()}`,
    ...(command.passesAll === true && Object.keys(command.flags).length === 0
      ? []
      : [
          `Flags\n${flagLines(command.passesAll === true ? command.flags : { ...command.flags, ...globalFlags })}`
        ]),
    ...(command.notes === undefined ? [] : [command.notes.map(wrap).join('\n')]),
    `Examples\n${command.examples.map((line) => `  ${line}`).join('\n')}`
  ]
  return `${parts.join('\n\n')}\n`
}

const wrapAt = 100

/** Breaks a line of text between words. */
function wrap(text: string): string {
  const lines = ['']
  for (const word of text.split(' ')) {
    if (lines.at(-1)!.length + word.length >= wrapAt) lines.push(word)
    else lines[lines.length - 1] = `${lines.at(-1)} ${word}`.trimStart()
  }
  return lines.join('\n')
}

function flagLines(flags: Flags): string {
  const left = Object.entries(flags).map(([name, { short, type, value, choices }]) => {
    const placeholder =
      type === 'boolean' ? '' : ` ${choices === undefined ? (value ?? 'VALUE') : choices.join('|')}`
    return `  ${short === undefined ? '    ' : `-${short}, `}--${name}${placeholder}`
  })
  const wide = Math.min(36, Math.max(...left.map((text) => text.length)))
  return Object.values(flags)
    .map(({ help, multiple }, i) => {
      const text = `${help}${multiple === true ? ' (may be repeated)' : ''}`
      return left[i]!.length > wide
        ? `${left[i]}\n${' '.repeat(wide)}  ${text}`
        : `${left[i]!.padEnd(wide)}  ${text}`
    })
    .join('\n')
}
