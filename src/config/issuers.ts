import { Type, type Static } from '@sinclair/typebox'
import { isFetchable } from '../addresses.ts'
import { type Scope, scopes } from '../schemas/job.ts'
import { stringEnum } from '../schemas/ref.ts'
import { tenantPattern } from '../schemas/token.ts'

const claim = (options: { default?: string; description: string }) =>
  Type.String({ minLength: 1, maxLength: 256, ...options })
const grantable = Type.Unsafe<Scope>({ type: 'string', enum: scopes })
const scalar = Type.Unsafe<string | number | boolean>({ type: ['string', 'number', 'boolean'] })

/** One entry of `jwt` in roost.yaml: an issuer whose tokens are taken, and what they may do here. */
export const Issuer = Type.Object(
  {
    issuer: Type.String({
      pattern: '^https?://[^\\s?#]+$',
      description: 'the URL that stands in the iss claim, character by character'
    }),
    audience: Type.Union(
      [Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })],
      { description: 'What the aud claim must name: this service as the issuer knows it.' }
    ),
    jwksUri: Type.Optional(
      Type.String({
        pattern: '^https?://\\S+$',
        description: 'where the keys are; without it OIDC discovery tells'
      })
    ),
    algorithms: Type.Array(
      stringEnum(['EdDSA', 'ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']),
      { default: ['EdDSA', 'RS256', 'ES256'], minItems: 1, uniqueItems: true }
    ),
    clockSkewSeconds: Type.Integer({ default: 30, minimum: 0, maximum: 300 }),
    requiredClaims: Type.Record(Type.String(), Type.Union([scalar, Type.Array(scalar, { minItems: 1 })]), {
      default: {},
      description: 'Claims that must have this value, or one of these.'
    }),
    tenantClaim: Type.Optional(
      claim({ description: 'The claim that holds the tenant: its name, or a JSON pointer such as /org/id.' })
    ),
    tenants: Type.Optional(
      Type.Record(Type.String(), Type.String({ pattern: tenantPattern }), {
        description: 'Values of that claim -> tenants; with it, other values are refused.'
      })
    ),
    defaultTenant: Type.Optional(
      Type.String({
        pattern: tenantPattern,
        description: 'the tenant where there is no tenantClaim, or where a token lacks it'
      })
    ),
    scopeClaim: claim({
      default: 'scope',
      description: 'The claim that holds scopes or groups, as a list or with spaces between them.'
    }),
    scopes: Type.Optional(
      Type.Record(Type.String(), Type.Array(grantable), {
        description: 'Values of that claim -> scopes; without it the values are the scopes, but for admin.'
      })
    )
  },
  { additionalProperties: false }
)
export type Issuer = Static<typeof Issuer>

/** What no schema can say of the issuers, each as a line that names the key. */
export function faultsOfIssuers(issuers: readonly Issuer[]): string[] {
  const seen = new Set<string>()
  return issuers.flatMap(({ issuer, jwksUri, tenantClaim, defaultTenant, tenants }, i) => {
    const faults: string[] = []
    if (seen.has(issuer)) faults.push(`jwt.${i}.issuer ${issuer} stands there twice`)
    seen.add(issuer)
    for (const [key, url] of Object.entries({ issuer, ...(jwksUri === undefined ? {} : { jwksUri }) })) {
      if (!isFetchable(url))
        faults.push(`jwt.${i}.${key} must be an https:// URL (http:// only to this machine); got ${url}`)
    }
    if (tenantClaim === undefined && defaultTenant === undefined)
      faults.push(`jwt.${i} needs tenantClaim, defaultTenant or both: whose jobs its clients see and make`)
    if (tenants !== undefined && tenantClaim === undefined)
      faults.push(`jwt.${i}.tenants needs tenantClaim, whose values it maps`)
    return faults
  })
}
