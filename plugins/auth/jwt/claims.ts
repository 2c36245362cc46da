import type { JWTPayload } from 'jose'
import { RoostError } from '../../../src/errors.ts'
import { scopes as allScopes, type Scope } from '../../../src/schemas/job.ts'
import { tenantPattern } from '../../../src/schemas/token.ts'

type Scalar = string | number | boolean

export interface ClaimRules {
  requiredClaims: Readonly<Record<string, Scalar | readonly Scalar[]>>
  /** A claim's name, or a JSON pointer such as /org/id. */
  tenantClaim?: string
  /** Values of that claim -> tenants; with it, other values are refused. */
  tenants?: Readonly<Record<string, string>>
  /** Where there is no tenant claim, or a token lacks it. */
  defaultTenant?: string
  scopeClaim: string
  /** Values of that claim -> scopes; without it they are the scopes themselves, but for admin. */
  scopes?: Readonly<Record<string, readonly Scope[]>>
}

const isTenant = new RegExp(tenantPattern)
const isScope = (text: string): text is Scope => (allScopes as readonly string[]).includes(text)
const forbidden = (why: string): RoostError => new RoostError('forbidden', why)

/** Throws `forbidden` where a required claim has another value. An array has the value where one of its members is it. */
export function requireClaims(claims: JWTPayload, { requiredClaims }: ClaimRules): void {
  for (const [name, wanted] of Object.entries(requiredClaims)) {
    const allowed: readonly unknown[] = [wanted].flat()
    if (![readClaim(claims, name)].flat().some((value) => allowed.includes(value)))
      throw forbidden(`The token's claim ${name} must be ${allowed.map(String).join(' or ')}`)
  }
}

/** Whose jobs the token sees and makes. Throws `forbidden` where that cannot be told. */
export function tenantOf(claims: JWTPayload, { tenantClaim, tenants, defaultTenant }: ClaimRules): string {
  const value = tenantClaim === undefined ? undefined : readClaim(claims, tenantClaim)
  if (value === undefined || value === null) {
    if (defaultTenant !== undefined) return defaultTenant
    throw forbidden(`The token has no claim ${tenantClaim}, which tells its tenant`)
  }
  const values = [value].flat().map(String)
  if (tenants !== undefined) {
    const known = new Set(values.filter((one) => Object.hasOwn(tenants, one)).map((one) => tenants[one]!))
    const [tenant] = known
    if (tenant !== undefined && known.size === 1) return tenant
    throw forbidden(
      known.size === 0
        ? `The token's claim ${tenantClaim} has no value that is a tenant here`
        : `The token's claim ${tenantClaim} stands for several tenants: ${[...known].join(', ')}`
    )
  }
  if (values.length !== 1 || typeof [value].flat()[0] !== 'string' || !isTenant.test(values[0]!)) {
    throw forbidden(
      `The token's claim ${tenantClaim} must be one tenant's name: lower-case letters, digits and dashes, at most 63`
    )
  }
  return values[0]!
}

/**
 * What the token may do; values that mean nothing here are passed over. Admin has who is made one here, by name: other
 * services of the same issuer may have an "admin" of their own.
 */
export function scopesOf(claims: JWTPayload, { scopeClaim, scopes }: ClaimRules): Set<Scope> {
  const value = readClaim(claims, scopeClaim)
  const words = (typeof value === 'string' ? value.split(' ') : Array.isArray(value) ? value : []).map(String)
  if (scopes === undefined) return new Set(words.filter(isScope).filter((scope) => scope !== 'admin'))
  return new Set(words.flatMap((word) => (Object.hasOwn(scopes, word) ? scopes[word]! : [])))
}

/** By name first, as names may hold slashes (https://example.com/tenant); else by JSON pointer. */
function readClaim(claims: JWTPayload, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name]
  if (!name.startsWith('/')) return undefined
  return name
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce<unknown>(
      (at, part) =>
        at !== null && typeof at === 'object' && Object.hasOwn(at, part)
          ? (at as Record<string, unknown>)[part]
          : undefined,
      claims
    )
}
