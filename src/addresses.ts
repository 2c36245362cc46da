import { BlockList, isIP } from 'node:net'
import { isLoopback } from './loopback.ts'

/**
 * What counts as one client among addresses: an IPv4 address, or the /64 of an IPv6 one, as one client holds all of a
 * /64. An IPv4 address in IPv6 form is the IPv4 address. A request made within the process has no address.
 */
export function networkOf(address: string | undefined): string {
  if (address === undefined) return 'none'
  const plain = address.split('%', 1)[0]!.toLowerCase()
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(plain)
  if (mapped !== null) return mapped[1]!
  if (isIP(plain) !== 6) return plain
  const [head = '', tail] = plain.split('::') as [string?, string?]
  const groups = head === '' ? [] : head.split(':')
  const missing = tail === undefined ? 0 : 8 - groups.length - (tail === '' ? 0 : tail.split(':').length)
  const all = [
    ...groups,
    ...Array.from({ length: Math.max(0, missing) }, () => '0'),
    ...(tail ?? '').split(':')
  ]
  return `${all
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`
}

/** Keys come by TLS, or from this machine: over plain HTTP anybody on the way could vouch for anybody. */
export function isFetchable(url: string): boolean {
  const { protocol, hostname = '' } = URL.parse(url) ?? {}
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname.replace(/^\[(.*)\]$/, '$1')))
}

/** What is wrong with the text of an address or a network; null where it is one. */
export function networkFault(text: string): string | null {
  const [address = '', prefix] = text.split('/')
  const family = isIP(address)
  if (family === 0)
    return `must be an IP address or a network such as 10.0.0.0/8; got ${JSON.stringify(text)}`
  const most = family === 4 ? 32 : 128
  return Number(prefix ?? 0) <= most
    ? null
    : `must be an IP address or a network; ${text} has a prefix of ${prefix} bits, an IPv${family} one at most ${most}`
}

/** Tells whether an address is in one of these networks, which {@link networkFault} let pass; what is none is in none. */
export function networkList(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  const familyOf = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4')
  for (const network of networks) {
    const [address = '', prefix] = network.split('/')
    const family = familyOf(address)
    list.addSubnet(address, Number(prefix ?? (family === 'ipv6' ? 128 : 32)), family)
  }
  return (address) => isIP(address) !== 0 && list.check(address, familyOf(address))
}
