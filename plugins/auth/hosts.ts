import { isIP } from 'node:net'
import { hostname } from 'node:os'

/**
 * Whether a Host or Origin names this service. A page elsewhere may resolve its own name to this address (DNS
 * rebinding), so only names that nobody else can own pass: IP literals, localhost, this host's names, and those the
 * operator gives.
 */
export function createHostCheck(allowedHosts: readonly string[], allowedOrigins: readonly string[]) {
  const own = hostname().toLowerCase()
  const known = new Set([
    'localhost',
    own,
    own.split('.')[0]!,
    `${own.split('.')[0]!}.local`,
    ...allowedHosts.map((host) => host.toLowerCase())
  ])
  const origins = new Set(allowedOrigins)
  const passed = new Set<string>()

  function isKnownHost(host: string): boolean {
    if (passed.has(host)) return true
    const name = hostName(host)
    const ok = name !== null && (isIP(name) !== 0 || known.has(name) || name.endsWith('.localhost'))
    // The set of hosts that pass is small; an attacker's many names never enter it.
    if (ok && passed.size < 1000) passed.add(host)
    return ok
  }

  return {
    isKnownHost,
    isKnownOrigin(origin: string): boolean {
      if (origins.has(origin) || origins.has('*')) return true
      const match = /^https?:\/\/([^/]+)$/.exec(origin)
      return match !== null && isKnownHost(match[1]!)
    }
  }
}

/** The host part of `host[:port]`, lower-case, without brackets and final dot; null where it is none. */
export function hostName(host: string): string | null {
  const bracketed = /^\[([0-9a-fA-F:.]+)\](:\d{1,5})?$/.exec(host)
  if (bracketed) return bracketed[1]!.toLowerCase()
  const plain = /^([A-Za-z0-9._-]+?)\.?(:\d{1,5})?$/.exec(host)
  return plain ? plain[1]!.toLowerCase() : null
}
