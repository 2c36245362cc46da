import { parseArgs } from 'node:util'
import { globalFlags, type Command, type Flags, type Values } from './command.ts'
import { UsageError } from './exit.ts'

export interface Parsed {
  values: Values<Flags>
  positionals: string[]
}

/** Reads the arguments of `roost NAME`. Throws a {@link UsageError} that names the flag and what may have been meant. */
export function parseArguments(name: string, command: Command, argv: readonly string[]): Parsed {
  const flags: Flags = { ...command.flags, ...globalFlags }
  const end = command.endsAtPositional === true ? endOfFlags(argv, flags) : argv.length
  const options = Object.fromEntries(
    Object.entries(flags).map(([flag, { type, short, multiple = false }]) => [
      flag,
      { type, multiple, ...(short === undefined ? {} : { short }) }
    ])
  )
  // Not strict: its own complaints name no near flag and no command. All of them are made below.
  const { tokens } = parseArgs({
    args: argv.slice(0, end),
    options,
    strict: false,
    allowPositionals: true,
    tokens: true
  })
  const values: Record<string, boolean | string | string[]> = {}
  const positionals: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value)
    if (token.kind !== 'option') continue
    const flag = flags[token.name]
    if (flag === undefined) throw unknownFlag(name, token.rawName, flags)
    values[token.name] = readFlag(name, token, flag, values[token.name])
  }
  positionals.push(...argv.slice(argv[end] === '--' ? end + 1 : end))
  if (values['help'] !== true) requireCount(name, command, positionals)
  return { values, positionals }
}

interface OptionToken {
  name: string
  rawName: string
  value?: string | undefined
  inlineValue?: boolean | undefined
}

function readFlag(
  name: string,
  token: OptionToken,
  flag: Flags[string],
  before: boolean | string | string[] | undefined
): boolean | string | string[] {
  const { rawName, value, inlineValue } = token
  if (flag.type === 'boolean') {
    if (value !== undefined) throw new UsageError(`${rawName} takes no value; got ${JSON.stringify(value)}`)
    return true
  }
  const placeholder = flag.value ?? 'VALUE'
  if (value === undefined) throw new UsageError(`${rawName} needs a value: ${rawName} ${placeholder}`)
  if (inlineValue !== true && value.startsWith('-') && value.length > 1) {
    throw new UsageError(
      `${rawName} needs a value: ${rawName} ${placeholder}`,
      `If "${value}" is the value, write ${rawName}=${value}`
    )
  }
  if (flag.choices !== undefined && !flag.choices.includes(value)) {
    throw new UsageError(
      `${rawName} of 'roost ${name}' must be one of ${flag.choices.join(', ')}; got ${JSON.stringify(value)}${suggest(value, flag.choices)}`
    )
  }
  return flag.multiple === true ? [...((before as string[] | undefined) ?? []), value] : value
}

/** Index of the first argument that is no flag and no flag's value, or of `--`. */
function endOfFlags(argv: readonly string[], flags: Flags): number {
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i]!
    if (argument === '--' || argument === '-' || !argument.startsWith('-')) return i
    const flag = argument.startsWith('--')
      ? flags[argument.slice(2)]
      : Object.values(flags).find(({ short }) => short === argument.at(-1))
    if (flag?.type === 'string' && !argument.includes('=')) i++
  }
  return argv.length
}

function unknownFlag(name: string, rawName: string, flags: Flags): UsageError {
  const known = Object.entries(flags).flatMap(([flag, { short }]) => [
    `--${flag}`,
    ...(short === undefined ? [] : [`-${short}`])
  ])
  return new UsageError(
    `${rawName} is no flag of 'roost ${name}'${suggest(
      rawName,
      known.filter((flag) => flag.startsWith('--'))
    )}`,
    `All of them: roost ${name} --help`
  )
}

function requireCount(
  name: string,
  { usage, positionals: [min, max] }: Command,
  { length }: readonly string[]
): void {
  if (length >= min && length <= max) return
  const what =
    length < min
      ? 'needs more arguments'
      : max === 0
        ? 'takes no arguments'
        : `takes at most ${max} argument${max === 1 ? '' : 's'}`
  throw new UsageError(`'roost ${name}' ${what}`, `Usage: roost ${name} ${usage}`.trimEnd())
}

/** `; did you mean X?` where a known word is near, else nothing. */
export function suggest(word: string, known: readonly string[]): string {
  const near = known
    .map((candidate) => ({
      candidate,
      far: candidate.startsWith(word) && word.length > 2 ? 1 : distance(candidate, word)
    }))
    .filter(({ far }) => far <= Math.max(1, Math.floor(word.replace(/^-+/, '').length / 3)))
    .sort((a, b) => a.far - b.far)[0]
  return near === undefined ? '' : `; did you mean ${near.candidate}?`
}

/** How many letters to add, drop, change or swap with their neighbour. */
function distance(a: string, b: string): number {
  let twoBack: number[] = []
  let back = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      row[j] = Math.min(back[j]! + 1, row[j - 1]! + 1, back[j - 1]! + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        row[j] = Math.min(row[j]!, twoBack[j - 2]! + 1)
    }
    twoBack = back
    back = row
  }
  return back[b.length]!
}
