import t from 'tap'
import { createFailures } from '../../plugins/auth/failures.ts'
import { isFetchable, networkFault, networkList, networkOf } from '../../src/addresses.ts'
import { createFakeClock } from '../fake-clock.ts'

await t.test('clients are told apart by IPv4 address and by IPv6 /64', async (t) => {
  const cases: [address: string | undefined, network: string][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8::', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['1::2:3:4:5:6:7', '1:0:2:3::/64'],
    [undefined, 'none']
  ]
  for (const [address, network] of cases) t.equal(networkOf(address), network, String(address))
})

await t.test('keys are fetched by TLS or from this machine', async (t) => {
  for (const url of [
    'https://id.example/keys',
    'http://127.0.0.1:80/k',
    'http://[::1]:9/k',
    'http://localhost/k'
  ])
    t.ok(isFetchable(url), url)
  for (const url of [
    'http://id.example',
    'http://10.0.0.1',
    'ftp://127.0.0.1',
    'file:///etc/passwd',
    'nonsense',
    ''
  ])
    t.notOk(isFetchable(url), url)
})

await t.test('many addresses take a bounded memory', async (t) => {
  const failures = createFailures({ max: 1, windowMs: 60_000, clock: createFakeClock() })
  for (let i = 0; i < 25_000; i++) failures.count(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)
  t.equal(failures.size(), 10_000)
  t.throws(() => failures.admit('10.0.97.167'), { code: 'rate-limited' }, 'the last one is kept')
  t.doesNotThrow(() => failures.admit('10.0.0.0'), 'the first one made room')
})

await t.test('networks: what is one, and what is in them', async (t) => {
  for (const text of ['10.0.0.0/8', '192.0.2.1', '::1', 'fd00::/8', '0.0.0.0/0'])
    t.equal(networkFault(text), null, text)
  for (const text of ['', 'proxy.example', '10.0.0', '10.0.0.0/33', 'fd00::/129', '10.0.0.0/x'])
    t.match(networkFault(text), /^must be an IP address or a network/, text)
  const isIn = networkList(['10.0.0.0/8', '192.0.2.1', 'fd00::/8'])
  for (const address of ['10.1.2.3', '192.0.2.1', '::ffff:10.1.2.3', 'fd12::1']) t.ok(isIn(address), address)
  for (const address of ['11.0.0.1', '192.0.2.2', '::1', '', 'proxy.example']) t.notOk(isIn(address), address)
})
