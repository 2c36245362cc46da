import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import type { FastifyBaseLogger } from 'fastify'
import { isFetchable } from '../../../src/addresses.ts'
import type { Clock } from '../../../src/contracts/clock.ts'
import { RoostError } from '../../../src/errors.ts'
import { fetchJson } from './fetch-json.ts'

export interface IssuerKeysOptions {
  issuer: string
  /** Where the keys are; without it OIDC discovery tells. */
  jwksUri?: string
  clock: Clock
  log: FastifyBaseLogger
}

/** Keys older than this are fetched again, beside the requests. */
const freshMs = 10 * 60_000
/** Between two fetches: whoever sends tokens with made-up key ids makes us ask no more often than this. */
const cooldownMs = 10_000
/** While the issuer is down its last keys hold this long. */
const holdMs = 24 * 3600_000

/**
 * The keys of one issuer. An unknown key id makes it look again, as issuers change their keys; while the issuer is
 * down the keys that are known go on being taken.
 */
export function createIssuerKeys({ issuer, jwksUri, clock, log }: IssuerKeysOptions): JWTVerifyGetKey {
  let keys: ReturnType<typeof createLocalJWKSet> | null = null
  let fetchedAt = -Infinity
  let triedAt = -Infinity
  let failure: string | null = null
  let fetching: Promise<void> | null = null

  const coolsFor = () => Math.max(0, triedAt + cooldownMs - clock.now())

  /** Never rejects: what went wrong stands in `failure`. */
  function look(): Promise<void> {
    fetching ??= fetchKeys().finally(() => (fetching = null))
    return fetching
  }

  async function fetchKeys(): Promise<void> {
    triedAt = clock.now()
    try {
      const url = jwksUri ?? (await discover(issuer))
      // Throws where it is no key set.
      keys = createLocalJWKSet((await fetchJson(url)) as JSONWebKeySet)
      fetchedAt = clock.now()
      failure = null
    } catch (error) {
      const { cause, message } = error as Error
      failure = cause instanceof Error ? `${message}: ${cause.message}` : message
      log.warn({ err: error, issuer }, 'the keys of an issuer could not be fetched')
    }
  }

  function unavailable(): RoostError {
    return new RoostError(
      'issuer-unavailable',
      `The keys of ${issuer} could not be fetched (${failure}); try again later`,
      { headers: { 'retry-after': String(Math.max(1, Math.ceil(coolsFor() / 1000))) } }
    )
  }

  return async (header, token) => {
    const age = clock.now() - fetchedAt
    if (keys === null || age > holdMs) {
      if (fetching !== null || coolsFor() === 0) await look()
      if (keys === null || clock.now() - fetchedAt > holdMs) throw unavailable()
    } else if (age > freshMs && coolsFor() === 0) {
      void look()
    }
    try {
      return await keys(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
      if (fetching !== null || coolsFor() === 0) await look()
      // Nobody can tell whether a key is new while the issuer does not answer.
      if (failure !== null) throw unavailable()
      return await keys(header, token)
    }
  }
}

/** The address of the keys by OpenID Connect Discovery 1.0 §4; what it says of itself must be the issuer we trust. */
async function discover(issuer: string): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const found = ((await fetchJson(url)) ?? {}) as { issuer?: unknown; jwks_uri?: unknown }
  if (found.issuer !== issuer)
    throw new Error(`${url} is of the issuer ${JSON.stringify(found.issuer)}, not of ${issuer}`)
  if (typeof found.jwks_uri !== 'string' || !isFetchable(found.jwks_uri))
    throw new Error(`${url} names no https:// jwks_uri`)
  return found.jwks_uri
}
