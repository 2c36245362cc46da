// kit: tools
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { startServiceFor } from '../start-service.ts'

const run = promisify(execFile)
const chromium = process.env['ROOST_KIT_CHROMIUM']
if (chromium === undefined)
  throw new Error('ROOST_KIT_CHROMIUM is not set: eval "$(../shared/kit/kit up tools)"')

/** What a browser makes of a page, and what it complains of on the console. */
async function browse(t: { testdir(): string }, url: string): Promise<{ dom: string; console: string[] }> {
  const { stdout, stderr } = await run(
    chromium!,
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--enable-logging=stderr',
      `--user-data-dir=${t.testdir()}`,
      '--virtual-time-budget=15000',
      '--dump-dom',
      url
    ],
    { maxBuffer: 64 * 2 ** 20, timeout: 60_000 }
  )
  return { dom: stdout, console: stderr.split('\n').filter((line) => line.includes(':CONSOLE')) }
}

await t.test('Swagger UI works under its Content-Security-Policy', async (t) => {
  const service = await startServiceFor(t, {})
  const page = await browse(t, `${service.url}/docs`)
  t.match(page.dom, /class="opblock-summary-path"[^>]*data-path="\/schedule"/, 'the operations are shown')
  t.match(page.dom, /btn authorize/, 'and so is the way to give a token')
  t.same(page.console, [], 'nothing was refused')
})

await t.test('the list of errors has its style', async (t) => {
  const service = await startServiceFor(t, {})
  const page = await browse(t, `${service.url}/docs/errors`)
  t.match(page.dom, /job-not-found/)
  t.same(page.console, [])
})
