import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose'
import type { TestLike } from './build.ts'

export type Algorithm = 'EdDSA' | 'RS256' | 'ES256'

/** Claims of any kind, also such as no issuer gives. */
export type Claims = Record<string, unknown>

interface Key {
  kid: string
  alg: Algorithm
  privateKey: CryptoKey
  jwk: JWK
}

export async function createKey(kid: string, alg: Algorithm = 'EdDSA'): Promise<Key> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }
}

/** A real issuer: an HTTP server that publishes its keys and what OIDC discovery asks for. */
export async function createIssuer(t: TestLike, keys: Key[]) {
  let published = keys
  let answers: Record<string, unknown> = {}
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url!)
    const documents: Record<string, unknown> = {
      '/.well-known/openid-configuration': { issuer: url, jwks_uri: `${url}/keys` },
      '/keys': { keys: published.map(({ jwk }) => jwk) },
      ...answers
    }
    const document = documents[request.url!]
    if (document === undefined) return void response.writeHead(404).end()
    response.setHeader('content-type', 'application/json')
    response.end(typeof document === 'string' ? document : JSON.stringify(document))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  const close = async () => {
    if (!server.listening) return
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
  t.teardown(close)
  return {
    url,
    /** Paths asked for, in order. */
    asked,
    publish: (next: Key[]) => void (published = next),
    /** Answers these paths with these documents; a text goes out as it is. */
    answer: (documents: Record<string, unknown>) => void (answers = documents),
    /** Takes no connections until `up`. */
    down: close,
    async up() {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
    },
    /** A token as this issuer would give it; `claims` that are undefined are left out. */
    async sign(key: Key, claims: Claims, header: { kid?: string; typ?: string } = {}): Promise<string> {
      const payload = Object.fromEntries(
        Object.entries({ iss: url, sub: 'ada', aud: 'roost', scope: 'read:jobs', ...claims }).filter(
          ([, value]) => value !== undefined
        )
      )
      return await new SignJWT(payload)
        .setProtectedHeader({ alg: key.alg, kid: key.kid, ...header })
        .sign(key.privateKey)
    }
  }
}
