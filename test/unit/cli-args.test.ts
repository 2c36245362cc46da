import { readFileSync } from 'node:fs'
import t from 'tap'
import { parseArguments, suggest } from '../../src/cli/args.ts'
import { defineCommand } from '../../src/cli/command.ts'
import { commands } from '../../src/cli/commands.ts'
import { exits } from '../../src/cli/exit.ts'
import { overview, pageOf } from '../../src/cli/help.ts'

const command = defineCommand({
  usage: '[FLAGS] [--] CMD',
  flags: {
    name: { type: 'string', short: 'n', help: '' },
    env: { type: 'string', short: 'e', multiple: true, help: '' },
    detach: { type: 'boolean', short: 'd', help: '' },
    locality: { type: 'string', choices: ['any', 'local-only'], help: '' }
  },
  positionals: [0, 2],
  endsAtPositional: true,
  examples: [],
  run: async () => {}
})
const listing = { ...command, endsAtPositional: false }
const read = (...argv: string[]) => parseArguments('run', command, argv)
const refusal = (...argv: string[]): string => {
  try {
    read(...argv)
  } catch (error) {
    return (error as Error).message
  }
  return 'nothing was refused'
}

await t.test('flags come in every usual form', async (t) => {
  t.match(read('--name', 'a', '--detach', '-e', 'A=1', '--env=B=2', '-dn', 'b').values, {
    name: 'b',
    detach: true,
    env: ['A=1', 'B=2']
  })
  t.match(read('--name=-x').values, { name: '-x' })
  t.match(read('--json').values, { json: true })
})

await t.test('the first word of the job ends our flags', async (t) => {
  t.same(read('-d', 'ls', '-la').positionals, ['ls', '-la'])
  t.same(read('-d', '--', '--name').positionals, ['--name'])
  t.same(read('--name', 'x', '--', 'sh').values['name'], 'x')
  t.same(parseArguments('ps', listing, ['a', '-d', 'b']).positionals, ['a', 'b'])
})

await t.test('a fault names the flag and what may have been meant', async (t) => {
  t.equal(refusal('--naem', 'x'), "--naem is no flag of 'roost run'; did you mean --name?")
  t.equal(refusal('--zzz'), "--zzz is no flag of 'roost run'")
  t.equal(refusal('-x'), "-x is no flag of 'roost run'")
  t.equal(refusal('--name'), '--name needs a value: --name VALUE')
  t.equal(refusal('--name', '--detach'), '--name needs a value: --name VALUE')
  t.equal(refusal('--detach=yes'), '--detach takes no value; got "yes"')
  t.equal(
    refusal('--locality', 'local-onyl'),
    `--locality of 'roost run' must be one of any, local-only; got "local-onyl"; did you mean local-only?`
  )
  t.equal(refusal('a', 'b', 'c'), "'roost run' takes at most 2 arguments")
})

await t.test('a word is suggested only where it is near', async (t) => {
  t.equal(suggest('rnu', Object.keys(commands)), '; did you mean run?')
  t.equal(suggest('cancle', Object.keys(commands)), '; did you mean cancel?')
  t.equal(suggest('compl', Object.keys(commands)), '; did you mean completion?')
  t.equal(suggest('frobnicate', Object.keys(commands)), '')
})

await t.test('docs/cli.md has every command and every exit code', async (t) => {
  const page = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8')
  const documented = [...page.matchAll(/^\| `([a-z-]+)` \|.*`[^`]*roost [^`]+` \|$/gm)].map(
    ([, name]) => name
  )
  t.same(new Set(documented), new Set(Object.keys(commands)))
  for (const code of Object.values(exits)) t.match(page, new RegExp(`^\\| ${code} \\|`, 'm'))
})

await t.test(
  'every command stands in the overview and has a page with its flags and an example',
  async (t) => {
    const text = overview()
    for (const [name, entry] of Object.entries(commands)) {
      t.match(text, new RegExp(`^  ${name} +${entry.summary.slice(0, 10)}`, 'm'), name)
      const loaded = await entry.load()
      const page = pageOf(name as keyof typeof commands, loaded)
      for (const flag of Object.keys(loaded.flags)) t.ok(page.includes(`--${flag}`), `${name} --${flag}`)
      t.ok(
        loaded.examples.length > 0 && loaded.examples.every((example) => example.includes('roost')),
        `${name} has examples`
      )
      t.ok(
        page.split('\n').every((line) => line.length <= 132),
        `${name} fits a terminal`
      )
    }
  }
)
