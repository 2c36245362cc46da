import { lookup as lookUp, type LookupAddress } from 'node:dns'
import { request as requestHttp, type IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import type { Clock } from '../../src/contracts/clock.ts'

export interface Post {
  url: URL
  /** The host of the URL without brackets and final dot. */
  host: string
  headers: Record<string, string>
  body: string
  /** Why this address may not be called; null where it may. Asked for each address of the host. */
  refusalOf: (address: string) => string | null
  /** From the first look-up to the answer's status. */
  timeoutMs: number
  clock: Clock
  signal: AbortSignal
  /** Default: the system's resolver. */
  resolve?: Resolve
}
export type Resolve = (host: string) => Promise<LookupAddress[]>

export interface Answer {
  status: number
  /** Of Retry-After, as it came. */
  retryAfter: string | null
}

/** The headers of the answer may take so many bytes. */
const mostHeaderBytes = 16_384

/**
 * One POST. Redirects are not followed, and of the answer nothing but its status and Retry-After is read: what a receiver
 * says must not reach whoever chose its address. The addresses that are checked are those that are connected to.
 * @throws Error with a message for the owner of the webhook.
 */
export async function post(order: Post): Promise<Answer> {
  const { clock, timeoutMs, signal } = order
  const limit = new AbortController()
  const timer = clock.setTimeout(
    () => limit.abort(new Error(`No answer within ${timeoutMs / 1000} s`)),
    timeoutMs
  )
  const ends = AbortSignal.any([signal, limit.signal])
  try {
    const addresses = await untilAborted(checkedAddresses(order), ends)
    return await send(order, addresses, ends)
  } catch (error) {
    if (ends.aborted) throw ends.reason
    throw error
  } finally {
    timer.cancel()
  }
}

/** Every address of the host, each allowed. One that is not refuses them all: which one is taken is chance. */
async function checkedAddresses({
  host,
  refusalOf,
  resolve = resolveBySystem
}: Post): Promise<LookupAddress[]> {
  const family = isIP(host)
  const addresses = family === 0 ? await resolve(host) : [{ address: host, family }]
  if (addresses.length === 0) throw new Error(`${host} has no address`)
  for (const { address } of addresses) {
    const refusal = refusalOf(address)
    if (refusal !== null) throw new Error(refusal)
  }
  return addresses
}

const resolveBySystem: Resolve = (host) =>
  new Promise((resolve, reject) => {
    lookUp(host, { all: true }, (error, addresses) => {
      if (error === null) resolve(addresses)
      else
        reject(new Error(`${host} could not be looked up (${error.code ?? error.message})`, { cause: error }))
    })
  })

/** A look-up cannot be cut short; nobody waits for it any more. */
const untilAborted = <T>(work: Promise<T>, signal: AbortSignal): Promise<T> =>
  new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason as Error)
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })

function send(
  { url, host, headers, body }: Post,
  addresses: LookupAddress[],
  signal: AbortSignal
): Promise<Answer> {
  // The connection asks for the host's addresses once more and gets the checked ones: a name server that answers
  // otherwise the second time (DNS rebinding) is never asked.
  const lookup: LookupFunction = (_host, { all }, done) => {
    if (all === true) done(null, addresses)
    else done(null, addresses[0]!.address, addresses[0]!.family)
  }
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, {
      method: 'POST',
      headers: { ...headers, 'content-length': String(Buffer.byteLength(body)), connection: 'close' },
      // A connection of its own: a kept one would outlive the policy that allowed it.
      agent: false,
      lookup,
      signal,
      maxHeaderSize: mostHeaderBytes,
      rejectUnauthorized: true,
      ...(isIP(host) === 0 ? { servername: host } : {})
    })
    request.on('response', (response: IncomingMessage) => {
      resolve({
        status: response.statusCode ?? 0,
        retryAfter: response.headers['retry-after'] ?? null
      })
      response.on('error', () => {})
      request.destroy()
    })
    // An answer in another protocol, without being asked.
    request.on('upgrade', (response: IncomingMessage) => {
      resolve({ status: response.statusCode ?? 0, retryAfter: null })
      request.destroy()
    })
    request.on('error', (error: NodeJS.ErrnoException) =>
      reject(new Error(wordsFor(error, host), { cause: error }))
    )
    request.end(body)
  })
}

function wordsFor({ code = '', message }: NodeJS.ErrnoException, host: string): string {
  if (code === 'ECONNREFUSED') return `${host} refuses connections`
  if (code === 'ECONNRESET') return `${host} closed the connection without an answer`
  if (code.startsWith('HPE_')) return `${host} does not answer as HTTP does (${code})`
  if (/^(ERR_TLS|CERT_|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED|ERR_SSL)/.test(code))
    return `The certificate or TLS of ${host} is not valid (${code})`
  return `${host} could not be reached (${code === '' ? message : code})`
}
