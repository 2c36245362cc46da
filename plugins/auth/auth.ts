import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { auditRecord, system, type Requester } from '../../src/audit.ts'
import type { Clock } from '../../src/contracts/clock.ts'
import type { Storage, TokenRecord } from '../../src/contracts/storage.ts'
import { RoostError } from '../../src/errors.ts'
import { newId } from '../../src/ids.ts'
import { scopes as allScopes, type Scope } from '../../src/schemas/job.ts'
import type { Principal, Token, TokenRequest } from '../../src/schemas/token.ts'

export interface AuthOptions {
  storage: Storage
  clock: Clock
  dataDir: string
  /** The admin token of ROOST_TOKEN or ROOST_TOKEN_FILE; empty = the local one made at the first start. */
  token: string
}

/** How long a looked-up token is trusted without asking the storage again: a revocation is felt within this. */
const cacheMs = 2_000
const cacheSize = 10_000
const challenge = { 'www-authenticate': 'Bearer realm="roost"' }

const digest = (token: string): string => hash('sha256', token, 'hex')

/**
 * Tokens: the local one (all scopes; a 0600 file that the command reads by itself) and those of the storage, which
 * keeps nothing but their SHA-256.
 */
export function createAuth({ storage, clock, dataDir, token }: AuthOptions) {
  const tokenFile = join(dataDir, 'token')
  const adminDigest = Buffer.from(digest(token === '' ? localToken(tokenFile) : token), 'hex')
  const admin: Principal = { tokenId: 'local', name: 'local', tenant: 'default', scopes: new Set(allScopes) }
  const cache = new Map<string, { principal: Principal; until: number }>()

  function toPrincipal(record: TokenRecord): Principal {
    return { tokenId: record.id, name: record.name, tenant: record.tenant, scopes: new Set(record.scopes) }
  }

  return {
    /** Where the local token stands; null where the environment gave one. */
    tokenFile: token === '' ? tokenFile : null,

    /** Whose token this is. Throws `unauthorized` where it is none, has expired or was revoked. */
    async authenticate(presented: string): Promise<Principal> {
      const hex = digest(presented)
      if (timingSafeEqual(Buffer.from(hex, 'hex'), adminDigest)) return admin
      const cached = cache.get(hex)
      if (cached !== undefined && cached.until > clock.now()) return cached.principal
      const record = await storage.tokens.findByHash(hex)
      const now = clock.now()
      if (record === null)
        throw new RoostError('unauthorized', 'That token is not known here', { headers: challenge })
      if (record.revokedAt !== null)
        throw new RoostError('unauthorized', 'That token was revoked', { headers: challenge })
      if (record.expiresAt !== null && record.expiresAt <= now)
        throw new RoostError('unauthorized', 'That token has expired', { headers: challenge })
      const principal = toPrincipal(record)
      if (cache.size >= cacheSize) cache.clear()
      cache.set(hex, { principal, until: Math.min(now + cacheMs, record.expiresAt ?? Infinity) })
      return principal
    },

    /** Makes a token; its text is in the answer and nowhere else. */
    async create(request: TokenRequest, by: Requester = system): Promise<{ token: string; record: Token }> {
      const now = clock.now()
      const text = `roost_${randomBytes(24).toString('base64url')}`
      const seconds = request.expiresInSeconds ?? null
      const record: TokenRecord = {
        id: newId(now),
        name: request.name,
        tenant: request.tenant ?? 'default',
        scopes: request.scopes,
        hash: digest(text),
        createdAt: now,
        expiresAt: seconds === null ? null : now + seconds * 1000,
        revokedAt: null
      }
      await storage.write(async (tx) => {
        await tx.tokens.insert(record)
        const { id: _, createdAt, revokedAt, ...after } = toToken(record)
        await tx.audit.append(auditRecord(by, now, 'token.create', record.id, { before: null, after }))
      })
      return { token: text, record: toToken(record) }
    },

    list: async (): Promise<Token[]> => (await storage.tokens.list()).map(toToken),

    /** Throws `token-not-found`. */
    async revoke(id: string, by: Requester = system): Promise<void> {
      const now = clock.now()
      const found = (await storage.tokens.list()).find((token) => token.id === id)
      const revoked = await storage.write(async (tx) => {
        if (!(await tx.tokens.revoke(id, now))) return false
        const { name, tenant, scopes } = found ?? {}
        await tx.audit.append(
          auditRecord(by, now, 'token.revoke', id, {
            before: { name, tenant, scopes, revokedAt: null },
            after: { revokedAt: new Date(now).toISOString() }
          })
        )
        return true
      })
      if (!revoked) throw new RoostError('token-not-found', `No token has the id ${id}`)
      cache.clear()
    }
  }
}

/** Throws `forbidden` where the scope is not among the principal's. */
export function requireScope(principal: Principal, scope: Scope): void {
  if (!principal.scopes.has(scope)) {
    throw new RoostError(
      'forbidden',
      `This needs the scope ${scope}; the token "${principal.name}" has ${[...principal.scopes].join(', ') || 'none'}`
    )
  }
}

function toToken(record: TokenRecord): Token {
  const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())
  return {
    id: record.id,
    name: record.name,
    tenant: record.tenant,
    scopes: record.scopes,
    createdAt: new Date(record.createdAt).toISOString(),
    expiresAt: iso(record.expiresAt),
    revokedAt: iso(record.revokedAt)
  }
}

/** Reads the local token, or makes it: written whole under another name first, so that no reader sees half of it. */
function localToken(file: string): string {
  if (existsSync(file)) {
    if ((statSync(file).mode & 0o077) !== 0) chmodSync(file, 0o600)
    const token = readFileSync(file, 'utf8').trim()
    if (token.length >= 16) return token
  }
  mkdirSync(join(file, '..'), { recursive: true, mode: 0o700 })
  const token = `roost_${randomBytes(24).toString('base64url')}`
  const temporary = `${file}.${process.pid}`
  writeFileSync(temporary, `${token}\n`, { mode: 0o600 })
  renameSync(temporary, file)
  return token
}
