import { isIP } from 'node:net'
import { networkList } from '../../src/addresses.ts'

/*
 * Which addresses are on the public internet. Of IPv4 everything that IANA's registry of special purposes sets aside is
 * not; of IPv6 only global unicast is, without what stands for an IPv4 address (mapped, NAT64, 6to4, Teredo), for
 * documentation or for the network itself.
 */
const isSpecial4 = networkList([
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
  // A public address in form; in Azure the metadata of the machine.
  '168.63.129.16/32'
])
const isGlobal6 = networkList(['2000::/3'])
const isSpecial6 = networkList(['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'])

/** Whether this address may be called without being named. What is no address is not public. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 4) return !isSpecial4(address)
  if (family !== 6 || address.includes('%')) return false
  return isGlobal6(address) && !isSpecial6(address)
}
