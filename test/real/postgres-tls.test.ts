// kit: postgres
import { execFile } from 'node:child_process'
import { chmod } from 'node:fs/promises'
import { promisify } from 'node:util'
import t from 'tap'
import { openPostgresStorage } from '../../plugins/storage/postgres/open.ts'
import { createSchema, query, kitUrl } from '../fixtures/postgres.ts'

const execute = promisify(execFile)

/** A key and a certificate for `name`, signed by itself. */
async function certify(folder: string, name: string): Promise<{ key: string; cert: string }> {
  const [key, cert] = [`${folder}/${name}.key`, `${folder}/${name}.crt`]
  const subject = `-subj /CN=${name} -addext subjectAltName=${/^[0-9.]+$/.test(name) ? 'IP' : 'DNS'}:${name}`
  const made = `-newkey rsa:2048 -nodes -days 1 -keyout ${key} -out ${cert}`
  await execute('openssl', `req -x509 ${subject} ${made}`.split(' '))
  await chmod(key, 0o600)
  return { key, cert }
}

/** The server speaks TLS with this certificate from here on, besides plain text. */
async function speakTls({ key, cert }: { key: string; cert: string }): Promise<void> {
  for (const [name, value] of [
    ['ssl_cert_file', cert],
    ['ssl_key_file', key],
    ['ssl', 'on']
  ] as const)
    await query(`alter system set ${name} = '${value}'`, kitUrl())
  await query('select pg_reload_conf()', kitUrl())
}

await t.test('sslmode means what it means in libpq', async (t) => {
  const folder = t.testdir({ data: {} })
  const { databaseUrl } = await createSchema(t, kitUrl())
  t.teardown(async () => {
    for (const name of ['ssl', 'ssl_cert_file', 'ssl_key_file'])
      await query(`alter system reset ${name}`, kitUrl())
    await query('select pg_reload_conf()', kitUrl())
  })
  const open = async (parameters: Record<string, string>): Promise<string> => {
    const url = new URL(databaseUrl)
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
    try {
      const storage = await openPostgresStorage({ databaseUrl: url.href, dataDir: `${folder}/data` })
      const [row] = await query(
        "select bool_and(ssl) as encrypted from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'roost-tls'",
        kitUrl()
      )
      await storage.close()
      return row?.['encrypted'] === true ? 'encrypted' : 'plain'
    } catch (error) {
      return (error as Error).message
    }
  }
  const named = { application_name: 'roost-tls' }
  const own = await certify(folder, '127.0.0.1')
  await speakTls(own)
  // A server that has not read its settings yet answers in plain text.
  let first = await open({ ...named, sslmode: 'require' })
  while (/SSL connections/.test(first)) first = await open({ ...named, sslmode: 'require' })
  t.equal(first, 'encrypted')
  t.equal(await open(named), 'plain', 'not encrypted unless it is asked for')
  t.match(await open({ ...named, sslmode: 'verify-full' }), /certificate that is not trusted.*sslrootcert/)
  t.equal(await open({ ...named, sslmode: 'verify-full', sslrootcert: own.cert }), 'encrypted')

  const other = await certify(folder, 'db.example')
  await speakTls(other)
  const asOther = { ...named, sslrootcert: other.cert }
  let full = await open({ ...asOther, sslmode: 'verify-full' })
  while (/not trusted/.test(full)) full = await open({ ...asOther, sslmode: 'verify-full' })
  t.match(full, /certificate of another name/)
  t.equal(await open({ ...asOther, sslmode: 'verify-ca' }), 'encrypted')
})
