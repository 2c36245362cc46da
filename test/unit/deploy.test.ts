import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import type { Tracing } from '../../src/contracts/observability.ts'
import { asAdmin, build } from '../build.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

interface Rule {
  alert: string
  expr: string
  labels: Record<string, string>
  annotations: Record<string, string>
}
interface Panel {
  title: string
  type: string
  gridPos: { x: number; y: number; w: number; h: number }
  targets?: { expr: string }[]
}

/** There only so that the metrics of spans are: what spans do is tested with a real collector. */
const idleTracing: Tracing = {
  span: () => ({ traceparent: '', set: () => {}, run: (work) => work(), end: () => {} }),
  active: () => null,
  fault: () => {},
  counts: () => ({ made: 0, exported: 0 }),
  onTrouble: () => {},
  close: async () => {}
}

const rules = (
  parse(read('deploy/prometheus/roost.rules.yml')) as { groups: { rules: Rule[] }[] }
).groups.flatMap((group) => group.rules)
const { panels } = JSON.parse(read('deploy/grafana/roost.json')) as { panels: Panel[] }
const operations = read('docs/operations.md')

/** Every metric of the service, with everything that has metrics switched on: name -> its labels where it has samples. */
async function metricsOf(t: Test): Promise<Set<string>> {
  const dataDir = t.testdir({ 'policies.yaml': 'policies: []\n' })
  const app = await build(
    t,
    { process: 'off', dataDir, policiesFile: join(dataDir, 'policies.yaml'), rateLimit: '1000/1' },
    { tracing: idleTracing }
  )
  await app.ready()
  const { body } = await app.inject({ url: '/metrics', headers: asAdmin })
  return new Set([...body.matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) => name))
}

/** The metrics that a query names; a histogram's parts count as the histogram. */
const namesIn = (query: string): string[] =>
  [...query.matchAll(/\b(roost|http|process|nodejs)_[a-z_]+\b/g)].map(([name]) =>
    name.replace(/_(bucket|sum|count)$/, '')
  )

await t.test(
  'what the dashboard and the alerts ask for is there, and all that is there is described',
  async (t) => {
    const metrics = await metricsOf(t)
    t.ok(metrics.size > 30, `${metrics.size} metrics`)
    for (const { alert, expr } of rules)
      t.same(
        namesIn(expr).filter((name) => !metrics.has(name)),
        [],
        alert
      )
    const asked = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })))
    t.ok(asked.length > 40, `${asked.length} queries`)
    for (const { title, expr } of asked)
      t.same(
        namesIn(expr).filter((name) => !metrics.has(name)),
        [],
        title
      )
    const shown = new Set(asked.flatMap(({ expr }) => namesIn(expr)))
    for (const name of metrics) {
      t.ok(shown.has(name), `${name} is on the dashboard`)
      if (name.startsWith('process_')) continue
      t.ok(new RegExp(`\\b${name}\\b`).test(operations), `${name} is in docs/operations.md`)
      t.match(name, /^(roost|http)_[a-z_]+$/)
    }
  }
)

await t.test('each alert says what it is and what to do, and is tested', async (t) => {
  const tests = read('deploy/prometheus/roost.rules.test.yml')
  t.ok(rules.length > 10)
  for (const { alert, labels, annotations } of rules) {
    t.match(labels, { severity: /^(page|ticket)$/ }, alert)
    t.match(annotations, { summary: /\w/, description: /\w/ }, alert)
    t.equal(annotations['runbook_url'], `docs/operations.md#${alert.toLowerCase()}`)
    t.ok(operations.includes(`\n### ${alert}\n*${labels['severity']}.*`), `${alert} has its section`)
    t.match(
      tests,
      new RegExp(`alertname: ${alert}\\n\\s+exp_alerts:\\n\\s+- exp_labels`),
      `${alert} fires in a test`
    )
  }
})

await t.test('no two panels of the dashboard lie on one another', async (t) => {
  const taken = new Set<string>()
  for (const { title, gridPos } of panels) {
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        t.notOk(taken.has(`${x},${y}`), `${title} at ${x},${y}`)
        taken.add(`${x},${y}`)
      }
    }
  }
})
