import { defineCommand, globalFlags, type Command, type Flags } from '../command.ts'
import { commands } from '../commands.ts'
import { UsageError } from '../exit.ts'

export const completion = defineCommand({
  usage: 'bash|zsh',
  flags: {},
  positionals: [1, 1],
  completes: ['bash', 'zsh'],
  notes: [
    'For good: put the line of the example into ~/.bashrc or ~/.zshrc. Ids of jobs are asked of the service.'
  ],
  examples: ['source <(roost completion bash)', 'source <(roost completion zsh)'],
  async run(context, _values, [shell]) {
    if (shell !== 'bash' && shell !== 'zsh')
      throw new UsageError(`'roost completion' takes bash or zsh; got ${JSON.stringify(shell)}`)
    const loaded = await Promise.all(
      Object.entries(commands).map(async ([name, entry]) => ({
        name,
        summary: entry.summary,
        command: await entry.load()
      }))
    )
    await context.print(shell === 'bash' ? bashScript(loaded) : zshScript(loaded))
  }
})

interface Loaded {
  name: string
  summary: string
  command: Command
}

const flagsOf = ({ flags, passesAll }: Command): Flags =>
  passesAll === true ? flags : { ...flags, ...globalFlags }
/** In single quotes for both shells. */
const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`
const jobIds = 'roost ps -a -q --limit 50 2>/dev/null'

function bashScript(all: readonly Loaded[]): string {
  const cases = all.map(({ name, command }) => {
    const flags = flagsOf(command)
    const words = Object.entries(flags).flatMap(([flag, { short }]) => [
      `--${flag}`,
      ...(short === undefined ? [] : [`-${short}`])
    ])
    const valued = Object.entries(flags).filter(([, { type }]) => type === 'string')
    const choices = valued
      .filter(([, { choices }]) => choices !== undefined)
      .map(
        ([flag, { choices }]) =>
          `        --${flag}) COMPREPLY=($(compgen -W ${quote(choices!.join(' '))} -- "$word")); return;;`
      )
    const files = valued
      .filter(([, { value }]) => value === 'FILE' || value === 'DIR')
      .map(([flag]) => `--${flag}`)
    const others = valued
      .filter(([, { value, choices }]) => choices === undefined && value !== 'FILE' && value !== 'DIR')
      .map(([flag]) => `--${flag}`)
    return `    ${name})
      case $previous in
${choices.map((line) => `${line}\n`).join('')}${files.length === 0 ? '' : `        ${files.join('|')}) COMPREPLY=($(compgen -f -- "$word")); return;;\n`}${others.length === 0 ? '' : `        ${others.join('|')}) return;;\n`}      esac
      if [[ $word == -* ]]; then COMPREPLY=($(compgen -W ${quote(words.join(' '))} -- "$word")); return; fi
      ${bashPositional(command)};;`
  })
  return `# bash completion for roost; made by: roost completion bash
_roost() {
  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} i
  COMPREPLY=()
  if (( COMP_CWORD == 1 )); then COMPREPLY=($(compgen -W ${quote(all.map(({ name }) => name).join(' '))} -- "$word")); return; fi
  # Behind "--" stands a command of the job.
  for (( i = 2; i < COMP_CWORD; i++ )); do
    if [[ \${COMP_WORDS[i]} == -- ]]; then COMPREPLY=($(compgen -c -f -- "$word")); return; fi
  done
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
  esac
}
complete -o filenames -F _roost roost ./roost
`
}

function bashPositional({ completes }: Command): string {
  if (completes === 'jobs') return `COMPREPLY=($(compgen -W "$(${jobIds})" -- "$word"))`
  if (completes === 'nodes') return `COMPREPLY=($(compgen -W 'local' -- "$word"))`
  if (completes === 'files') return 'COMPREPLY=($(compgen -f -- "$word"))'
  return completes === undefined ? ':' : `COMPREPLY=($(compgen -W ${quote(completes.join(' '))} -- "$word"))`
}

function zshScript(all: readonly Loaded[]): string {
  const cases = all.map(({ name, command }) => {
    const specs = Object.entries(flagsOf(command)).flatMap(
      ([flag, { type, short, multiple, help, value, choices }]) => {
        const text = help.replaceAll(/[[\]:]/g, (letter) => `\\${letter}`)
        const action =
          choices !== undefined
            ? `(${choices.join(' ')})`
            : value === 'FILE'
              ? '_files'
              : value === 'DIR'
                ? '_files -/'
                : ''
        const argument = type === 'boolean' ? '' : `:${value ?? flag}:${action}`
        const long = `--${flag}${type === 'string' ? '=' : ''}`
        const star = multiple === true ? '*' : ''
        return [
          `${star}${long}[${text}]${argument}`,
          ...(short === undefined ? [] : [`${star}-${short}[${text}]${argument}`])
        ]
      }
    )
    return `    ${name}) _arguments -S ${[...specs, zshPositional(command)].map(quote).join(' ')};;`
  })
  return `#compdef roost
# zsh completion for roost; made by: roost completion zsh
_roost_jobs() { local -a ids; ids=(\${(f)"$(${jobIds})"}); compadd -a ids }
_roost() {
  local -a names
  names=(${all.map(({ name, summary }) => quote(`${name}:${summary}`)).join(' ')})
  if (( CURRENT == 2 )); then _describe command names; return; fi
  local name=$words[2]
  shift words
  (( CURRENT-- ))
  case $name in
${cases.join('\n')}
  esac
}
compdef _roost roost ./roost
`
}

function zshPositional({ completes, endsAtPositional }: Command): string {
  if (endsAtPositional === true) return '*::command:_normal'
  if (completes === 'jobs') return '*:job:_roost_jobs'
  if (completes === 'files') return '*:file:_files'
  if (completes === 'nodes') return '*:node:(local)'
  return completes === undefined ? '*: :' : `*:act:(${completes.join(' ')})`
}
