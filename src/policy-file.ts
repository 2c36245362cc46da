import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type * as Yaml from 'yaml'
import { networkFault } from './addresses.ts'
import { PolicyFile, type Policy } from './schemas/policy.ts'
import { compileSchema } from './validation.ts'

/** A policy file that is not valid: each problem names line, key, what is wrong and what would be right. */
export class PolicyFileError extends Error {
  readonly problems: readonly string[]

  constructor(file: string, problems: readonly string[]) {
    super(`The policy file ${file} is not valid:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.name = 'PolicyFileError'
    this.problems = problems
  }
}

export interface LoadedPolicies {
  policies: readonly Policy[]
  /** SHA-256 of the file, hex. */
  hash: string
}

/** Reads and checks the file. Throws a {@link PolicyFileError} with everything that is wrong at once. */
export function readPolicyFile(file: string): LoadedPolicies {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new PolicyFileError(file, [
      `${code === 'ENOENT' ? 'is not there (gone, or never was)' : 'cannot be read'}: ${message}`
    ])
  }
  const { policies, problems } = parsePolicies(text)
  if (problems.length > 0) throw new PolicyFileError(file, problems)
  return { policies, hash: hash('sha256', text) }
}

let validate: ReturnType<typeof compileSchema> | null = null

/** Policies of a YAML (or JSON) text, or what is wrong with it: then the policies are not to be used. */
export function parsePolicies(text: string): { policies: Policy[]; problems: string[] } {
  // Loaded only where there is a file: most starts have none.
  const { parseDocument, LineCounter } = createRequire(import.meta.url)('yaml') as typeof Yaml
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true })
  if (document.errors.length > 0)
    return {
      policies: [],
      problems: document.errors.map(
        ({ message, pos }) =>
          `line ${lines.linePos(pos[0]).line}: ${message.split('\n')[0]!.replace(/ at line .*$/, '')}`
      )
    }
  let content: unknown
  try {
    content = document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    return { policies: [], problems: [(error as Error).message] }
  }
  if (content === null || typeof content !== 'object')
    return {
      policies: [],
      problems: ['line 1: must hold the key "policies" with a list; an empty list restricts nothing']
    }
  validate ??= compileSchema(PolicyFile)
  const at = (pointer: string) => place(document, lines, pointer)
  const faults = validate(content)
  if (faults.length > 0)
    return { policies: [], problems: faults.map(({ pointer, message }) => `${at(pointer)} ${message}`) }
  const { policies } = content as PolicyFile
  return {
    policies,
    problems: contradictions(policies).map(({ pointer, message }) => `${at(pointer)} ${message}`)
  }
}

/** `line 4: policies.0.quota.cpu`, by the nearest node that is there. */
function place(document: Yaml.Document, lines: Yaml.LineCounter, pointer: string): string {
  const path = pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  for (let length = path.length; length > 0; length--) {
    const position = positionOf(document, path.slice(0, length))
    if (position !== null) return `line ${lines.linePos(position).line}: ${path.join('.')}`
  }
  return `line 1: ${path.join('.')}`
}

function positionOf(document: Yaml.Document, path: readonly string[]): number | null {
  let node: unknown = document.contents
  let position: number | null = null
  for (const key of path) {
    const items = (node as { items?: unknown[] } | null)?.items
    if (items === undefined) return null
    const pair = items.find((item) => (item as { key?: { value?: unknown } }).key?.value === key) as
      | { key: { range?: [number, number, number] }; value: unknown }
      | undefined
    const next = pair?.value ?? items[Number(key)]
    const range = (pair?.key ?? (next as { range?: [number, number, number] } | undefined))?.range
    if (range === undefined) return null
    position = range[0]
    node = next
  }
  return position
}

/** What the schema cannot say. */
function contradictions(policies: readonly Policy[]): { pointer: string; message: string }[] {
  const faults: { pointer: string; message: string }[] = []
  const names = new Map<string, number>()
  const accounts = new Map<string, string>()
  for (const [index, { name, tenants, user, webhooks }] of policies.entries()) {
    const pointer = `/policies/${index}`
    const first = names.get(name)
    if (first === undefined) names.set(name, index)
    else
      faults.push({
        pointer: `${pointer}/name`,
        message: `"${name}" is the name of policies.${first} too; refusals name the policy, so give it a name of its own`
      })
    for (const [at, address] of (webhooks?.addresses ?? []).entries()) {
      const fault = networkFault(address)
      if (fault !== null) faults.push({ pointer: `${pointer}/webhooks/addresses/${at}`, message: fault })
    }
    if (user === undefined || user.includes('{tenant}')) continue
    const tenant = tenants.length === 1 && /^[a-z0-9-]+$/.test(tenants[0]!) ? tenants[0]! : null
    const other = accounts.get(user)
    if (tenant === null)
      faults.push({
        pointer: `${pointer}/user`,
        message: `would be shared by several tenants, whose jobs could read one another; name one tenant without a glob, or an account for each: "roost-{tenant}"`
      })
    else if (other !== undefined && other !== tenant)
      faults.push({
        pointer: `${pointer}/user`,
        message: `"${user}" is the account of tenant ${other} already; two tenants never share one`
      })
    else accounts.set(user, tenant)
  }
  return faults
}
