import { pathToFileURL } from 'node:url'
import { parseArguments, suggest } from './args.ts'
import { commands, type CommandName } from './commands.ts'
import { createContext } from './context.ts'
import { CliError, exits, UsageError, type Problem } from './exit.ts'

/** Runs `roost ARGUMENTS` and resolves with its exit code; what went wrong is on stderr by then. */
export async function main(argv: readonly string[]): Promise<number> {
  // A reader that went away (`| head`) is no fault: end as SIGPIPE would have it, without a word.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(exits.brokenPipe)
      throw error
    })
  }
  try {
    return await dispatch(argv)
  } catch (error) {
    // Arguments after `--` are a job's.
    const own = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv
    return report(error, own.includes('--json'))
  }
}

async function dispatch(argv: readonly string[]): Promise<number> {
  const [first, ...rest] = argv
  if (first === '--version' || first === '-V' || first === 'version') {
    process.stdout.write(`roost ${(await import('../version.ts')).version}\n`)
    return exits.ok
  }
  if (
    first === undefined ||
    first === '--help' ||
    first === '-h' ||
    (first === 'help' && rest.length === 0)
  ) {
    process.stdout.write((await import('./help.ts')).overview())
    return first === undefined ? exits.usage : exits.ok
  }
  if (first === 'help') return await dispatch([rest[0]!, '--help'])
  if (first.startsWith('-'))
    throw new UsageError(
      `${first} stands before the command`,
      `Flags come after it: roost COMMAND ${first} …`
    )
  if (!Object.hasOwn(commands, first)) {
    throw new UsageError(
      `There is no command '${first}'${suggest(first, Object.keys(commands))}`,
      'All of them: roost --help'
    )
  }
  const name = first as CommandName
  const command = await commands[name].load()
  const isHelp =
    command.passesAll === true && rest.some((argument) => argument === '--help' || argument === '-h')
  const { values, positionals } =
    command.passesAll === true
      ? { values: { help: isHelp }, positionals: rest }
      : parseArguments(name, command, rest)
  if (values['help'] === true) {
    process.stdout.write((await import('./help.ts')).pageOf(name, command))
    return exits.ok
  }
  return (await command.run(createContext(values, process), values, positionals)) ?? exits.ok
}

/** Tells what went wrong: for people the title, the detail and every field at fault; with --json the problem itself. */
function report(error: unknown, json: boolean): number {
  if (!(error instanceof CliError)) {
    const { code, message, stack } = error as NodeJS.ErrnoException
    // A system's refusal (no such file, no permission) is told in its own words; anything else is a fault of ours.
    process.stderr.write(
      `roost: ${typeof code === 'string' && !code.startsWith('ERR_') ? message : (stack ?? String(error))}\n`
    )
    return exits.failed
  }
  if (json) {
    process.stderr.write(`${JSON.stringify(error.toProblem())}\n`)
    return error.exitCode
  }
  const problem = 'problem' in error ? (error.problem as Problem) : null
  const errors = problem?.errors ?? []
  const isDetail = ({ pointer, message }: (typeof errors)[number]) =>
    problem?.detail === message || problem?.detail === `${pointer} ${message}`
  // The detail may be that of the first field: it is said once.
  const isListed = errors.length > 1 && errors.some(isDetail)
  const lines =
    problem === null
      ? [error.message]
      : problem.detail?.startsWith(problem.title) === true
        ? [problem.detail]
        : [problem.title, ...(problem.detail === undefined || isListed ? [] : [problem.detail])]
  const fields = errors.filter((error) => isListed || !isDetail(error))
  lines.push(
    ...fields.map(
      ({ in: part, pointer, message }) => `  ${part === 'body' ? '' : `${part} `}${pointer} ${message}`
    )
  )
  if (error.remedy !== null) lines.push(error.remedy)
  process.stderr.write(`roost: ${lines.join('\n       ')}\n`)
  return error.exitCode
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  // Not process.exit: what is on its way to a pipe arrives.
  process.exitCode = await main(process.argv.slice(2))
}
