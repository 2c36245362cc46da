import type { WebhookEvent } from '../schemas/webhook.ts'
import { iso, type JobRecord } from './job-state.ts'

/** After the n-th try that failed the next one follows this many seconds later; there are as many tries and one more. */
export const retryDelaysSeconds = [5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600, 43_200] as const
export const mostAttempts = retryDelaysSeconds.length + 1
/** A receiver may ask for a longer pause than ours, up to this. */
const longestPauseMs = 86_400_000

/**
 * Milliseconds until the next try after `attempts` of them; null where there is none. `random` in [0,1) makes it up to a
 * fifth longer, so that calls that failed together do not come back together.
 */
export function retryDelayMs(attempts: number, retryAfterMs: number | null, random: number): number | null {
  const seconds = retryDelaysSeconds[attempts - 1]
  if (seconds === undefined) return null
  const own = seconds * 1000 * (1 + random / 5)
  return Math.round(Math.max(own, Math.min(retryAfterMs ?? 0, longestPauseMs)))
}

/** What is sent when a job has ended: who looks for more asks the API. Neither its command nor its environment. */
export function eventOf(job: JobRecord & { state: WebhookEvent['data']['state'] }): WebhookEvent {
  const last = job.attempts.at(-1) ?? null
  const time = (ms: number | null) => (ms === null ? null : iso(ms))
  return {
    type: `job.${job.state}` as const,
    timestamp: iso(job.finishedAt ?? job.createdAt),
    data: {
      id: job.id,
      name: job.name,
      state: job.state,
      reason: job.reason,
      message: job.message,
      exitCode: job.result?.exitCode ?? null,
      node: last?.node ?? null,
      attempts: job.attempts.length,
      labels: job.spec.labels ?? {},
      tenant: job.tenant,
      createdAt: iso(job.createdAt),
      startedAt: time(job.startedAt),
      finishedAt: time(job.finishedAt)
    }
  }
}

// Of the WHATWG's "bad ports" those from 1024 on; below only the web's own are taken.
const otherProtocols = new Set([
  1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679,
  6697, 10_080, 11_211
])

export interface WebhookTarget {
  url: URL
  /** Lower-case, without brackets and final dot; an address in its usual form. */
  host: string
}

/** Reads a URL to call, or says what is wrong with it. The URL parser brings every way to write an address into one. */
export function readTarget(text: string): WebhookTarget | { fault: string } {
  if (!URL.canParse(text)) return { fault: 'must be an absolute URL such as https://ci.example.com/roost' }
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    return { fault: `must begin with https:// (or http:// where policy allows it); got ${url.protocol}` }
  if (url.username !== '' || url.password !== '')
    return { fault: 'must hold no user or password; the signature says who sent it' }
  if (url.hash !== '') return { fault: 'must hold no fragment (#…): it would not be sent' }
  const port = url.port === '' ? null : Number(url.port)
  if (port !== null && ((port < 1024 && port !== 80 && port !== 443) || otherProtocols.has(port)))
    return {
      fault: `must have the port 80, 443 or one of 1024 and more that no other protocol uses; got ${port}`
    }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')
  return host === '' ? { fault: 'must name a host' } : { url, host }
}
