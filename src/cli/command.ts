import type { Context } from './context.ts'

/** A flag of a command. `value` is its placeholder in the help; `choices` are all that it takes. */
export interface Flag {
  type: 'string' | 'boolean'
  short?: string
  multiple?: boolean
  value?: string
  help: string
  choices?: readonly string[]
}
export type Flags = Readonly<Record<string, Flag>>

type ValueOf<F extends Flag> = F['type'] extends 'boolean'
  ? boolean
  : 'boolean' extends F['type']
    ? boolean | string | string[]
    : F extends { multiple: true }
      ? string[]
      : string
export type Values<F extends Flags> = { [K in keyof F]?: ValueOf<F[K]> | undefined }

/** Flags that every command takes. */
export const globalFlags = {
  json: { type: 'boolean', help: 'print JSON as the API answers it; errors as problem JSON on stderr' },
  url: {
    type: 'string',
    value: 'URL',
    help: 'which service to talk to (default: ROOST_URL, else the one of the data directory)'
  },
  'data-dir': {
    type: 'string',
    value: 'DIR',
    help: 'data directory of the local service (default: ROOST_DATA_DIR)'
  },
  help: { type: 'boolean', short: 'h', help: 'show this' }
} as const satisfies Flags
export type GlobalValues = Values<typeof globalFlags>

/** What its positionals are, for the completion. */
export type Completes = 'jobs' | 'nodes' | 'files' | readonly string[]

export interface Command {
  /** What follows `roost NAME`, without the flags. */
  usage: string
  flags: Flags
  /** How many positionals it takes. */
  positionals: readonly [min: number, max: number]
  /** The first positional begins a command line of its own: its flags are not ours. */
  endsAtPositional?: boolean
  /** Everything is passed on unread. */
  passesAll?: boolean
  completes?: Completes
  /** Further lines of its help. */
  notes?: readonly string[]
  examples: readonly string[]
  /** Resolves with the exit code; nothing = 0. */
  run(context: Context, values: Values<Flags>, positionals: string[]): Promise<number | void>
}

/** A command whose `run` knows the types of its own flags. */
export function defineCommand<const F extends Flags>(
  command: Omit<Command, 'flags' | 'run'> & {
    flags: F
    run(context: Context, values: Values<F>, positionals: string[]): Promise<number | void>
  }
): Command {
  return command
}
