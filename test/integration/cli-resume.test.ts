import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startCli } from '../start-cli.ts'
import { startServiceFor } from '../start-service.ts'
import { untilFile } from '../until-file.ts'

const service = await startServiceFor(t)
const { dataDir } = service

await t.test('kill -9 of the service and a restart cost no byte of a running job', async (t) => {
  const folder = t.testdir()
  // Goes through the gates as the test opens them: it writes before, while and after the service is away.
  const script = `
    out() { i=$1; while [ $i -lt $2 ]; do echo "line $i"; i=$((i+1)); done; }
    gate() { while [ ! -e ${folder}/$1 ]; do sleep 0.02; done; }
    out 0 2000; gate away; out 2000 4000; printf half; touch ${folder}/written; gate back; echo " line"; out 4000 6000; echo oops >&2; exit 9`
  const cli = startCli(['run', '--name', 'gated', '--', 'sh', '-c', script], { dataDir })
  await cli.until((out) => out.includes('line 1999\n'))
  const others = [
    startCli(['logs', '-f', 'gated'], { dataDir }),
    startCli(['logs', '-f', '--json', 'gated'], { dataDir })
  ]
  for (const other of others) await other.until((out) => out.includes('line 1999'))
  await service.kill()
  writeFileSync(join(folder, 'away'), '')
  await untilFile(folder, () => existsSync(join(folder, 'written')))
  await service.restart()
  writeFileSync(join(folder, 'back'), '')
  const lines = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => `line ${from + i}\n`).join('')
  const ended = await cli.ended
  t.equal(ended.code, 9)
  t.equal(ended.stdout, `${lines(0, 4000)}half line\n${lines(4000, 6000)}`)
  const told = /^roost: lost the service; trying again [^\n]*\nroost: the service is back\n/
  t.match(ended.stderr, new RegExp(`${told.source}oops\\n$`), 'a loss is told once, without a terminal too')
  for (const other of others) t.match(await other.ended, { code: 0, stderr: told })
})

await t.test('the tail goes on over three kills in the midst of output', async (t) => {
  const count = 60_000
  const cli = startCli(['run', '--', 'seq', '1', String(count)], { dataDir })
  for (const share of [0.05, 0.3, 0.6]) {
    const bytes = share * count * 5
    await Promise.race([cli.until((out) => out.length > bytes), cli.ended])
    await service.kill()
    await service.restart()
  }
  const ended = await cli.ended
  t.equal(ended.code, 0)
  t.ok(
    ended.stdout === Array.from({ length: count }, (_, i) => `${i + 1}\n`).join(''),
    'every line is there once, in order'
  )
})
