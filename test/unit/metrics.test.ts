import t from 'tap'
import { asAdmin, build } from '../build.ts'

await t.test('a label takes 64 values; what comes after them is other', async (t) => {
  const app = await build(t, { process: 'off' })
  const { counter, gauge, histogram, total } = app.observability
  const counted = counter({ name: 'roost_test_total', help: 'A test.', labels: ['kind', 'size'] })
  for (let i = 0; i < 200; i++) counted.add(2, { kind: `kind-${i}`, size: 'small' })
  const timed = histogram({ name: 'roost_test_seconds', help: 'A test.', labels: ['kind'], buckets: [1, 2] })
  for (let i = 0; i < 200; i++) timed.observe(i, { kind: `kind-${i}` })
  gauge({ name: 'roost_test_jobs', help: 'A test.' }, () => {})
  gauge({ name: 'roost_test_broken', help: 'A test.' }, () => {
    throw new Error('told to throw')
  })
  total({ name: 'roost_test_kept_total', help: 'A test.' }, (set) => set(7))
  await app.ready()

  for (let scrape = 0; scrape < 2; scrape++) {
    const { body } = await app.inject({ url: '/metrics', headers: asAdmin })
    const lines = body.split('\n')
    t.equal(lines.filter((line) => line.startsWith('roost_test_total{')).length, 65)
    t.ok(
      lines.includes('roost_test_total{kind="other",size="small"} 272'),
      'and a second scrape adds nothing'
    )
    t.equal(lines.filter((line) => line.startsWith('roost_test_seconds_count{')).length, 65)
    t.ok(lines.includes('roost_test_kept_total 7'))
    t.notOk(
      lines.some((line) => /^roost_test_(jobs|broken) /.test(line)),
      'what is not known is not told as zero'
    )
  }
  t.match(app.logLines.join(''), /roost_test_broken.*a metric could not be told/)
  t.throws(() => counted.add(1, { tenant: 'a' }), /has no label "tenant"/)
})
