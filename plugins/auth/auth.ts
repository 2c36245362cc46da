import { hash, timingSafeEqual } from 'node:crypto'
import { join } from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import { auditAct, auditRecord, system, type Requester } from '../../src/audit.ts'
import type { Clock } from '../../src/contracts/clock.ts'
import type { Page, Storage, TokenFilter, TokenRecord } from '../../src/contracts/storage.ts'
import { RoostError } from '../../src/errors.ts'
import { newId } from '../../src/ids.ts'
import { scopes as allScopes, type Scope } from '../../src/schemas/job.ts'
import type { Principal, Token, TokenRequest } from '../../src/schemas/token.ts'
import { createFailures } from './failures.ts'
import { newToken, openLocalToken, writeLocalToken } from './local-token.ts'
import { refused, UnknownToken } from './refusals.ts'
import { createUses } from './uses.ts'
import { createWatches } from './watches.ts'

export interface AuthOptions {
  storage: Storage
  clock: Clock
  log: FastifyBaseLogger
  dataDir: string
  /** The admin token of ROOST_TOKEN or ROOST_TOKEN_FILE; empty = the local one made at the first start. */
  token: string
  /** How many unknown tokens an address may send in a window; null = as many as it likes. */
  failures: { max: number; windowMs: number } | null
  /** Verifies the tokens of other issuers; null where none is trusted. */
  jwt: JwtVerifier | null
}

export interface JwtVerifier {
  /** Throws `unauthorized`, `forbidden`, `issuer-unavailable`. */
  verify(token: string): Promise<Principal>
}

interface Verified {
  principal: Principal
  until: number
}

/** How long a stored token is trusted without a look. A revocation through this service does not wait for it. */
const cacheMs = 2_000
/** How long a verified JWT is trusted, if it lasts that long: its issuer may have given up the key. */
const jwtCacheMs = 5 * 60_000
const cacheSize = 10_000
const rereadAfterMs = 1_000

const digest = (token: string): string => hash('sha256', token, 'hex')
/** Three parts of base64url; of an unsigned one the last is empty. */
const looksLikeJwt = (token: string): boolean => /^[\w-]+\.[\w-]+\.[\w-]*$/.test(token)

/**
 * Tokens: the local one (all scopes; a 0600 file that the command reads by itself), those of the storage, which keeps
 * nothing but their SHA-256, and JWTs of issuers that the configuration names.
 */
export function createAuth(options: AuthOptions) {
  const { storage, clock, log, dataDir, jwt } = options
  const tokenFile = options.token === '' ? join(dataDir, 'token') : null
  let adminDigest = Buffer.alloc(32)
  /** Another object with each rotation: who was the admin before is nobody now. */
  let admin = newAdmin()
  /** What was revoked lately: a request or a stream that was on its way meanwhile must not go on with it. */
  const revoked = new Set<string>()
  /** By digest. What is past its time still says that the token was good once, or was made here: it is no guess. */
  const verified = new Map<string, Verified>()
  const remember = (hex: string, found: Verified): void => {
    verified.delete(hex)
    verified.set(hex, found)
    if (verified.size > cacheSize) verified.delete(verified.keys().next().value!)
  }
  /** A token of ours has more random bits than anybody can guess: an address that guesses does not lock it out. */
  const useLocal = (token: string): void => {
    adminDigest = Buffer.from(digest(token), 'hex')
    remember(digest(token), { principal: admin, until: Infinity })
  }
  if (tokenFile === null) adminDigest = Buffer.from(digest(options.token), 'hex')
  else useLocal(openLocalToken(tokenFile))
  const failures = options.failures === null ? null : createFailures({ ...options.failures, clock })
  const watches = createWatches(clock)
  const uses = createUses({ storage, clock, log })
  const forgetReread = storage.onReread(() => void reread())
  let rereadTimer: { cancel(): void } | null = null
  let isClosed = false

  const isOver = (principal: Principal): boolean =>
    revoked.has(principal.tokenId) || (principal.tokenId === admin.tokenId && principal !== admin)

  function endRevoked(id: string): void {
    revoked.add(id)
    if (revoked.size > cacheSize) revoked.delete(revoked.keys().next().value!)
    for (const [hex, { principal }] of verified) if (principal.tokenId === id) verified.delete(hex)
    watches.over(id, 'the token was revoked')
  }

  /** A revocation whose answer was lost is found stored: what holds something open for its token hears of it too. */
  async function reread(): Promise<void> {
    try {
      for (const id of watches.tokenIds())
        if ((await storage.tokens.find(id))?.revokedAt != null) endRevoked(id)
    } catch (error) {
      log.warn({ err: error }, 'the tokens of open streams could not be read again; tried again')
      if (!isClosed) rereadTimer = clock.setTimeout(() => void reread(), rereadAfterMs)
    }
  }

  async function lookUp(hex: string, presented: string): Promise<Verified> {
    if (timingSafeEqual(Buffer.from(hex, 'hex'), adminDigest)) return { principal: admin, until: Infinity }
    if (jwt !== null && looksLikeJwt(presented)) {
      const principal = await jwt.verify(presented)
      return { principal, until: Math.min(clock.now() + jwtCacheMs, principal.expiresAt!) }
    }
    const record = await storage.tokens.findByHash(hex)
    if (record === null) throw new UnknownToken('That token is not known here')
    const now = clock.now()
    if (record.revokedAt !== null) throw refused('revoked', 'That token was revoked')
    if (record.expiresAt !== null && record.expiresAt <= now)
      throw refused('expired', 'That token has expired')
    uses.note(record.id)
    return { principal: toPrincipal(record), until: Math.min(now + cacheMs, record.expiresAt ?? Infinity) }
  }

  return {
    /** Where the local token stands; null where the environment gave one. */
    tokenFile,

    /**
     * Whose token this is; `from` tells the client's address. Throws `unauthorized` where it is none, has expired or
     * was revoked, `rate-limited` where the address sent too many unknown ones, and what the verifier of JWTs throws.
     */
    async authenticate(presented: string, from: () => string): Promise<Principal> {
      const hex = digest(presented)
      const known = verified.get(hex)
      if (known !== undefined && known.until > clock.now()) return known.principal
      if (known === undefined) failures?.admit(from())
      try {
        const found = await lookUp(hex, presented)
        if (isOver(found.principal)) throw refused('revoked', 'That token was revoked')
        remember(hex, found)
        return found.principal
      } catch (error) {
        if (error instanceof UnknownToken) failures?.count(from())
        throw error
      }
    },

    /** Throws `unauthorized` where the principal's token was revoked, replaced or has expired since it was looked at. */
    requireInForce(principal: Principal): void {
      if (isOver(principal)) throw refused('revoked', 'That token was revoked')
      if (principal.expiresAt !== undefined && principal.expiresAt <= clock.now())
        throw refused('expired', 'That token has expired')
    },

    /** Calls `onOver` once, as soon as the principal's token expires or is revoked. Returns the end of the watch. */
    watch(principal: Principal, onOver: (why: string) => void): () => void {
      if (!isOver(principal)) return watches.add(principal, onOver)
      // Not before the caller has what this returns.
      queueMicrotask(() => onOver('the token was revoked'))
      return () => {}
    },

    /** Makes a token; its text is in the answer and nowhere else. */
    async create(request: TokenRequest, by: Requester = system): Promise<{ token: string; record: Token }> {
      const now = clock.now()
      const text = newToken()
      const seconds = request.expiresInSeconds ?? null
      const record: TokenRecord = {
        id: newId(now),
        name: request.name,
        tenant: request.tenant ?? 'default',
        scopes: request.scopes,
        hash: digest(text),
        createdAt: now,
        expiresAt: seconds === null ? null : now + seconds * 1000,
        revokedAt: null,
        lastUsedAt: null
      }
      await storage.write(async (tx) => {
        await tx.tokens.insert(record)
        const { name, tenant, scopes, expiresAt } = toToken(record)
        const after = { name, tenant, scopes, expiresAt }
        await tx.audit.append(auditRecord(by, now, 'token.create', record.id, { before: null, after }))
      })
      remember(record.hash, { principal: toPrincipal(record), until: 0 })
      return { token: text, record: toToken(record) }
    },

    /** Newest first. */
    async list(filter: Omit<TokenFilter, 'now'>): Promise<Page<Token>> {
      const { items, cursor } = await storage.tokens.list({ ...filter, now: clock.now() })
      return {
        items: items.map((record) =>
          toToken({ ...record, lastUsedAt: uses.last(record.id) ?? record.lastUsedAt })
        ),
        cursor
      }
    },

    /** From the reply on the token opens nothing here, and what it holds open is closed. Throws `token-not-found`. */
    async revoke(id: string, by: Requester = system): Promise<void> {
      const now = clock.now()
      const found = await storage.tokens.find(id)
      const done = await storage.write(async (tx) => {
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
      if (!done) throw new RoostError('token-not-found', `No token that is in force has the id ${id}`)
      endRevoked(id)
    },

    /**
     * Replaces the local token: the old one is good no more. Throws `not-configured` where the admin token comes from
     * the environment.
     */
    async rotate(by: Requester = system): Promise<{ token: string; tokenFile: string }> {
      if (tokenFile === null) {
        throw new RoostError(
          'not-configured',
          'The admin token comes from ROOST_TOKEN or ROOST_TOKEN_FILE: change it there and start the service again'
        )
      }
      return await auditAct({ storage, clock }, by, { action: 'token.rotate', subject: 'local' }, () => {
        const token = replaceFile(tokenFile)
        for (const [hex, { principal }] of verified) if (principal === admin) verified.delete(hex)
        watches.over(admin.tokenId, 'the local token was replaced')
        admin = newAdmin()
        useLocal(token)
        return { token, tokenFile }
      })
    },

    /** Stores what is known of the use of tokens. */
    async close(): Promise<void> {
      isClosed = true
      forgetReread()
      rereadTimer?.cancel()
      await uses.close()
    }
  }
}

/** Throws `forbidden` where the scope is not among the principal's. */
export function requireScope(principal: Principal, scope: Scope): void {
  if (!principal.scopes.has(scope)) {
    throw new RoostError(
      'forbidden',
      `This needs the scope ${scope}; the token "${principal.name}" has ${[...principal.scopes].join(', ') || 'none'}`,
      { kind: 'scope' }
    )
  }
}

function replaceFile(tokenFile: string): string {
  try {
    return writeLocalToken(tokenFile)
  } catch (error) {
    throw new RoostError(
      'storage-unavailable',
      `The token stays as it is: ${tokenFile} cannot be written: ${(error as Error).message}`,
      { cause: error }
    )
  }
}

const newAdmin = (): Principal => ({
  tokenId: 'local',
  name: 'local',
  tenant: 'default',
  scopes: new Set(allScopes)
})

const toPrincipal = ({ id, name, tenant, scopes, expiresAt }: TokenRecord): Principal => ({
  tokenId: id,
  name,
  tenant,
  scopes: new Set(scopes),
  ...(expiresAt === null ? {} : { expiresAt })
})

function toToken({ hash: _secret, ...record }: TokenRecord): Token {
  const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())
  return {
    ...record,
    createdAt: new Date(record.createdAt).toISOString(),
    expiresAt: iso(record.expiresAt),
    revokedAt: iso(record.revokedAt),
    lastUsedAt: iso(record.lastUsedAt)
  }
}
