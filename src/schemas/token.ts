import { Type, type Static } from '@sinclair/typebox'
import { nullable, ref } from './ref.ts'
import { Scope } from './job.ts'

export const tenantPattern = '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'

/** Who asks: what a token stands for. */
export interface Principal {
  /** `local`, the token's id, or `jwt:` and a hash of issuer and subject. */
  tokenId: string
  name: string
  tenant: string
  scopes: ReadonlySet<Scope>
  /** When the token ends, ms since the epoch; absent where it does not. */
  expiresAt?: number
}

/** The name that policies may go by: the subject of a JWT is its issuer's word, and none of this service's names. */
export const tokenNameOf = ({ tokenId, name }: Principal): string | null =>
  tokenId.startsWith('jwt:') ? null : name

export const Token = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    tenant: Type.String(),
    scopes: Type.Array(ref(Scope)),
    createdAt: Type.String({ format: 'date-time' }),
    expiresAt: nullable(Type.String({ format: 'date-time' })),
    revokedAt: nullable(Type.String({ format: 'date-time' })),
    lastUsedAt: nullable(Type.String({ format: 'date-time', description: 'To about a minute.' }))
  },
  { $id: 'Token', additionalProperties: false }
)
export type Token = Static<typeof Token>

export const TokenRequest = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 128 }),
    scopes: Type.Array(ref(Scope), { minItems: 1, uniqueItems: true }),
    tenant: Type.Optional(Type.String({ pattern: tenantPattern, default: 'default' })),
    expiresInSeconds: Type.Optional(nullable(Type.Integer({ minimum: 1, maximum: 315_360_000 })))
  },
  { $id: 'TokenRequest', additionalProperties: false }
)
export type TokenRequest = Static<typeof TokenRequest>

export const NewToken = Type.Object(
  { token: Type.String({ description: 'Shown once; only its hash is kept.' }), record: ref(Token) },
  { $id: 'NewToken', additionalProperties: false }
)

export const LocalToken = Type.Object(
  {
    token: Type.String({ description: 'The new admin token; the old one is good no more.' }),
    tokenFile: Type.String({ description: 'Where it stands on the machine of the service.' })
  },
  { $id: 'LocalToken', additionalProperties: false }
)
