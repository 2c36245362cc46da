import t from 'tap'
import fc from 'fast-check'
import { maskFault, redact, redactLine, rememberPassword, rememberSecret } from '../../src/redact.ts'

await t.test('what looks like a secret is taken out, whoever sent it', async (t) => {
  const cases: [text: string, clean: string][] = [
    ['authorization: Bearer abc.def-123', 'authorization: Bearer [redacted]'],
    ['"authorization":"Basic eHg6eHg="', '"authorization":"Basic [redacted]"'],
    ['roost.stream.v1, roost.bearer.cm9vc3Q', 'roost.stream.v1, roost.bearer.[redacted]'],
    ['token roost_AbCdEf0123456789-_xyzAbCd.', 'token [redacted].'],
    ['eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJ4In0.c2ln is no good', '[redacted] is no good'],
    ['postgres://roost:p@ss@db/x'.replace('p@ss', 'pass'), 'postgres://roost:[redacted]@db/x'],
    ['GET /v1/jobs?token=abc&limit=3', 'GET /v1/jobs?token=[redacted]&limit=3'],
    ['GET /?a=1&access_token=abc', 'GET /?a=1&access_token=[redacted]']
  ]
  for (const [text, clean] of cases) t.equal(redact(text), clean)
})

await t.test('ordinary lines stay as they are', async (t) => {
  for (const text of [
    '{"level":"info","requestId":"a712a9cee1b8-1","path":"/v1/jobs","status":200,"message":"request"}',
    'at Object.serve (file:///opt/roost/src/service.ts:10:3)',
    'http://127.0.0.1:7070/docs',
    'Send a token as "Authorization: Bearer …"; on this machine, "roost token" prints one',
    'basic authentication is not taken; the bearer of the token is its owner',
    'roost_queue_depth 3'
  ])
    t.equal(redact(text), text)
})

await t.test('a text made to be slow costs no more than its length', async (t) => {
  for (const piece of ['a', 'eyJ-', 'eyJaaaaaaaa.', 'roost_-', 'bearer ', '?key=', 'a://b:', 'Basic    ']) {
    const text = piece.repeat(Math.ceil(1e6 / piece.length))
    const began = process.cpuUsage()
    redact(text)
    const { user } = process.cpuUsage(began)
    t.ok(user < 2_000_000, `${piece}: ${Math.round(user / 1000)} ms for a megabyte`)
  }
})

await t.test('what this process knows is taken out wherever it stands, also as JSON writes it', async () => {
  const secret = fc.string({ minLength: 8, maxLength: 40 }).filter((text) => !'[redacted]'.includes(text))
  fc.assert(
    fc.property(secret, fc.string(), fc.string(), (value, before, after) => {
      rememberSecret(value)
      const line = JSON.stringify({ message: before + value + after })
      const written = JSON.stringify(value).slice(1, -1)
      return !redact(line).includes(written) && !redact(before + value + after).includes(value)
    }),
    { numRuns: 200 }
  )
})

await t.test('of a URL it is the password, as it is written and as it is meant', async (t) => {
  rememberPassword('postgres://roost:kanarie%2Furl%20pass@db.example/roost')
  t.equal(redact('denied for kanarie/url pass'), 'denied for [redacted]')
  t.equal(redact('denied for kanarie%2Furl%20pass'), 'denied for [redacted]')
  for (const odd of ['', 'nothing', 'postgres://roost@db/x', 'postgres://roost:%ff%zz-odd@db/x'])
    t.doesNotThrow(() => rememberPassword(odd))
})

await t.test('a line of the log stays JSON, whatever the secret is', async (t) => {
  const line = (more: object) => JSON.stringify({ level: 'info', time: 12345678901, ...more })
  const texts = fc.oneof(
    fc.string({ minLength: 8, maxLength: 20 }),
    fc.constantFrom('"level":"info"', '12345678', '":12345678', 'nabcdefgh', '\\\\\\\\"":,', '"message":"')
  )
  fc.assert(
    fc.property(
      texts.filter((text) => !'[redacted]'.includes(text)),
      fc.string(),
      fc.constantFrom('\n', '\\', '"', 'x'),
      (secret, around, before) => {
        rememberSecret(secret)
        const message = around + before + secret
        const clean: { level: string; time: number; message: string } = JSON.parse(
          redactLine(line({ message }))
        )
        return clean.time === 12345678901 && clean.message.includes('[redacted]')
      }
    ),
    { numRuns: 200 }
  )
  t.equal(
    redactLine(line({ err: { stack: 'x\nBearer abcdef123\n' } })),
    `${line({ err: { stack: 'x\nBearer [redacted]\n' } })}\n`
  )
})

await t.test('a runtime’s fault is told without what the job was given', async (t) => {
  const secrets = ['kanarie "quoted"', 'kanarie-', 'kanarie-longer', 'on']
  const fault = maskFault(new Error(`no ${JSON.stringify(secrets)} on ${secrets[0]}`), secrets)
  t.equal(fault.message, 'no ["[redacted]","[redacted]","[redacted]","on"] on [redacted]')
  t.notMatch(fault.stack, /kanarie/)
  t.match(fault.stack, /redact\.test/)
  t.equal(maskFault('kanarie-longer', secrets).message, '[redacted]')
})
