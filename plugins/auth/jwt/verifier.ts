import { hash } from 'node:crypto'
import {
  decodeJwt,
  decodeProtectedHeader,
  errors,
  jwtVerify,
  type JWTPayload,
  type JWTVerifyGetKey
} from 'jose'
import type { FastifyBaseLogger } from 'fastify'
import type { Clock } from '../../../src/contracts/clock.ts'
import { RoostError } from '../../../src/errors.ts'
import type { Principal } from '../../../src/schemas/token.ts'
import { refused, UnknownToken } from '../refusals.ts'
import { requireClaims, scopesOf, tenantOf, type ClaimRules } from './claims.ts'
import { createIssuerKeys } from './issuer-keys.ts'

/** An issuer whose tokens are taken, and what they may do here. */
export interface TrustedIssuer extends ClaimRules {
  /** As it stands in `iss`. */
  issuer: string
  /** What `aud` must name. */
  audience: string | string[]
  jwksUri?: string
  algorithms: string[]
  clockSkewSeconds: number
}

export interface JwtVerifierOptions {
  issuers: readonly TrustedIssuer[]
  clock: Clock
  log: FastifyBaseLogger
}

/** RFC 7519 §5.1, RFC 9068 §2.1: other types are tokens for something else (an ID of a session, a logout). */
const accessTypes = new Set(['jwt', 'at+jwt', 'application/jwt', 'application/at+jwt'])
const maxNameLength = 128
/** The last moment that a Date can say, in ms. */
const endOfTime = 8.64e15

/** Verifies JWTs of the trusted issuers: signature, times, audience, then tenant and scopes by the issuer's rules. */
export function createJwtVerifier({ issuers, clock, log }: JwtVerifierOptions) {
  const trusted = new Map<string, TrustedIssuer & { keys: JWTVerifyGetKey }>(
    issuers.map((issuer) => [
      issuer.issuer,
      {
        ...issuer,
        keys: createIssuerKeys({
          issuer: issuer.issuer,
          clock,
          log,
          ...(issuer.jwksUri === undefined ? {} : { jwksUri: issuer.jwksUri })
        })
      }
    ])
  )

  return {
    /**
     * Whose token this is. Throws `unauthorized` where it is not good, `forbidden` where it is and means nothing here,
     * `issuer-unavailable` where its issuer's keys cannot be had.
     */
    async verify(token: string): Promise<Principal> {
      const { header, claims } = decode(token)
      const issuer = trusted.get(typeof claims.iss === 'string' ? claims.iss : '')
      if (issuer === undefined) throw new UnknownToken("The token's issuer (iss) is not trusted here")
      const type = header.typ?.toLowerCase()
      if (type !== undefined && !accessTypes.has(type))
        throw new UnknownToken(`The token's type (typ) must be JWT or at+jwt, not ${shorten(header.typ!)}`)
      const now = clock.now()
      const { payload } = await jwtVerify(token, issuer.keys, {
        algorithms: issuer.algorithms,
        issuer: issuer.issuer,
        audience: issuer.audience,
        clockTolerance: issuer.clockSkewSeconds,
        currentDate: new Date(now),
        requiredClaims: ['exp', 'sub']
      }).catch((error: unknown) => {
        throw explain(error, issuer)
      })
      if (payload.iat !== undefined && payload.iat * 1000 > now + issuer.clockSkewSeconds * 1000)
        throw refused('not-yet', 'The token was issued (iat) in the future: is a clock wrong?')
      requireClaims(payload, issuer)
      return {
        tokenId: `jwt:${hash('sha256', JSON.stringify([payload.iss, payload.sub]), 'base64url').slice(0, 22)}`,
        name: shorten(payload.sub!),
        tenant: tenantOf(payload, issuer),
        scopes: scopesOf(payload, issuer),
        expiresAt: Math.min((payload.exp! + issuer.clockSkewSeconds) * 1000, endOfTime)
      }
    }
  }
}

/** Header and claims as they are written; nothing of them is true before the signature is. */
function decode(token: string): { header: { typ?: string }; claims: JWTPayload } {
  try {
    const { typ } = decodeProtectedHeader(token)
    return { header: typeof typ === 'string' ? { typ } : {}, claims: decodeJwt(token) }
  } catch (error) {
    throw new UnknownToken('The token is no well-formed JWT', error)
  }
}

/** jose's error in our words. What bears a good signature is no guess. */
function explain(error: unknown, { algorithms, audience }: TrustedIssuer): RoostError {
  if (error instanceof RoostError) return error
  if (error instanceof errors.JWTExpired) return refused('expired', 'The token has expired (exp)', error)
  if (error instanceof errors.JWTClaimValidationFailed) {
    const { claim, reason } = error
    if (claim === 'aud')
      return refused(
        'audience',
        `The token is for another audience (aud); here it must name ${[audience].flat().join(' or ')}`,
        error
      )
    if (claim === 'nbf' && reason === 'check_failed')
      return refused('not-yet', 'The token is not valid yet (nbf)', error)
    return refused(
      'claims',
      reason === 'missing' ? `The token has no claim ${claim}` : `The token's claim ${claim} is not valid`,
      error
    )
  }
  if (error instanceof errors.JOSEAlgNotAllowed)
    return new UnknownToken(`The token must be signed with ${algorithms.join(', ')}`, error)
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return new UnknownToken("The token's signature is not its issuer's", error)
  if (error instanceof errors.JWKSNoMatchingKey)
    return new UnknownToken('The token is signed with a key (kid) that its issuer does not publish', error)
  if (error instanceof errors.JWKSMultipleMatchingKeys)
    return new UnknownToken('The token must name its key (kid): its issuer has several', error)
  return new UnknownToken('The token could not be verified', error)
}

/** Of a name as others wrote it: printable and bounded. */
const shorten = (text: string): string =>
  text.replaceAll(/[^\p{L}\p{N}\p{P}\p{S} ]/gu, '?').slice(0, maxNameLength)
