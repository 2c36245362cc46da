import { readFileSync } from 'node:fs'
import t from 'tap'
import { compilePolicy, joinRules } from '../../plugins/policies/compile.ts'
import { checkQuotas } from '../../src/domain/policy-checks.ts'
import { parsePolicies } from '../../src/policy-file.ts'
import { Policy } from '../../src/schemas/policy.ts'

const page = readFileSync(new URL('../../docs/policies.md', import.meta.url), 'utf8')
const [, example = ''] = /```yaml\n([^]*?)```/.exec(page) ?? []

await t.test('the example of docs/policies.md is valid and shows every key of a policy', async (t) => {
  const { policies, problems } = parsePolicies(example)
  t.same(problems, [])
  t.same(
    policies.map(({ name }) => name),
    ['everybody', 'students', 'ci tokens', 'production']
  )
  const shown = new Set(policies.flatMap((policy) => keysOf(policy)))
  t.same(
    keysOfSchema(Policy).filter((key) => !shown.has(key)),
    []
  )
})

await t.test('the refusal that the page quotes is the one that is given', async (t) => {
  const { policies } = parsePolicies(example)
  const applying = policies.map(compilePolicy).filter(({ appliesTo }) => appliesTo('student-1', 'x', null))
  const rules = joinRules(applying, 'student-1')
  t.same(rules.policies, ['everybody', 'students'])
  t.same([...rules.users.keys()], ['roost-student-1'])
  const [finding] = checkQuotas(rules, () => ({ queued: 100, submissions: 0, logBytes: 0 }), false)
  const quoted = /`(\{"code": "quota-exceeded".*?), …\}`/.exec(page)?.[1]
  const { detail, policy, limit, value } = JSON.parse(`${quoted}}`)
  t.match(finding, { message: detail, policy, limit, value })
})

/** `quota.cpu` and the like, without what a user names himself. */
function keysOf(value: object, above = ''): string[] {
  return Object.entries(value).flatMap(([key, member]: [string, unknown]) => {
    const path = `${above}${key}`
    const isMap = path === 'allow.nodes'
    return [
      path,
      ...(member !== null && typeof member === 'object' && !Array.isArray(member) && !isMap
        ? keysOf(member, `${path}.`)
        : [])
    ]
  })
}

/** The same of a schema; the two quotas are alike, so one of them is enough. */
function keysOfSchema(schema: object, above = ''): string[] {
  const { properties = {} } = schema as { properties?: Record<string, object> }
  return Object.entries(properties).flatMap(([key, member]) => [
    `${above}${key}`,
    ...(key === 'tokenQuota' ? [] : keysOfSchema(member, `${above}${key}.`))
  ])
}
