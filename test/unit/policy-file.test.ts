import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parsePolicies, PolicyFileError, readPolicyFile } from '../../src/policy-file.ts'

const problemsOf = (text: string) => parsePolicies(text).problems

await t.test('a file holds policies, in YAML or JSON', async (t) => {
  t.same(parsePolicies('policies:\n  - name: a\n    tenants: ["*"]\n'), {
    policies: [{ name: 'a', tenants: ['*'] }],
    problems: []
  })
  t.same(problemsOf('{"policies": [{"name": "a", "tenants": ["x"], "quota": {"cpu": "500m"}}]}'), [])
  t.same(problemsOf('policies: []'), [])
})

await t.test('every fault is named with its line, its key and what would be right', async (t) => {
  const problems = problemsOf(`policies:
  - name: a
    tenants: ["*"]
    quota:
      runing: 3
      cpu: many
  - name: b
    tenant: [x]
  - name: c
    tenants: []
    weight: 0
`)
  t.match(problems, [
    /^line 5: policies\.0\.quota\.runing is no known field; did you mean "running"/,
    /^line 6: policies\.0\.quota\.cpu must match .*got "many"$/,
    /^line 7: policies\.1\.tenants is missing$/,
    /^line 8: policies\.1\.tenant is no known field; did you mean "tenants"/,
    /^line 10: policies\.2\.tenants must NOT have fewer than 1 items/,
    /^line 11: policies\.2\.weight must be > 0/
  ])
  t.equal(problems.length, 6)
})

await t.test('what is no file of policies is not taken for one without rules', async (t) => {
  // An editor truncates a file before it writes it.
  t.match(problemsOf(''), [/^line 1: must hold the key "policies"/])
  t.match(problemsOf('# nothing\n'), [/^line 1/])
  t.match(problemsOf('{}'), [/policies is missing/])
  t.match(problemsOf('policies:\n  - name: a\n   tenants: x'), [/^line [23]: /])
  t.match(problemsOf('policies: [{name: a, name: b}]'), [/^line 1: Map keys must be unique/])
})

await t.test('what no schema can say is found too', async (t) => {
  t.match(problemsOf('policies:\n  - {name: a, tenants: [x]}\n  - name: a\n    tenants: [y]\n'), [
    /^line 3: policies\.1\.name "a" is the name of policies\.0 too/
  ])
  t.match(problemsOf('policies:\n  - {name: a, tenants: ["!x"]}\n'), [
    /^line 2: policies\.0\.tenants\.0 must match/
  ])
  t.match(
    problemsOf(
      'policies:\n  - name: a\n    tenants: [x]\n    webhooks: {addresses: [10.0.0.0/8, 10.0.0, "fd00::/129"]}\n'
    ),
    [
      /^line 4: policies\.0\.webhooks\.addresses\.1 must be an IP address/,
      /addresses\.2 must be .*has a prefix of 129 bits/
    ]
  )
})

await t.test('two tenants never share an account', async (t) => {
  const named = (tenants: string, user: string) =>
    `  - {name: ${tenants.replaceAll(/\W/g, '')}, tenants: ${tenants}, user: ${user}}\n`
  t.match(problemsOf(`policies:\n${named('["a-*"]', 'jobs')}`), [
    /^line 2: policies\.0\.user would be shared by several tenants/
  ])
  t.match(problemsOf(`policies:\n${named('[a, b]', 'jobs')}`), [/would be shared/])
  t.match(problemsOf(`policies:\n${named('[a]', 'jobs')}${named('[b]', 'jobs')}`), [
    /^line 3: policies\.1\.user "jobs" is the account of tenant a already/
  ])
  t.same(
    problemsOf(
      `policies:\n${named('[a]', 'jobs')}${named('[b]', 'others')}${named('["c-*"]', '"roost-{tenant}"')}`
    ),
    []
  )
})

await t.test('a file that is not there or not valid is an error with its name', async (t) => {
  const file = join(t.testdir(), 'policies.yaml')
  t.throws(() => readPolicyFile(file), {
    name: 'PolicyFileError',
    message: /policies\.yaml is not valid:\n {2}- is not there \(gone, or never was\): ENOENT/
  })
  writeFileSync(file, 'policies: 3')
  t.throws(() => readPolicyFile(file), PolicyFileError)
  writeFileSync(file, 'policies: []')
  t.match(readPolicyFile(file), { policies: [], hash: /^[0-9a-f]{64}$/ })
})
