import { performance } from 'node:perf_hooks'
import { answerParent } from '../child.ts'
import { quantile } from '../measure.ts'
import { readStream } from './frame-reader.ts'
import { createConnection, type Connection } from './http-connection.ts'
import { mix, type Kind, type MixContext } from './mix.ts'

/** Load at a fixed rate, whatever the server does: a request that had to wait for a connection counts from its due time. */
export interface MixedRequest {
  port: number
  token: string
  perSecond: number
  milliseconds: number
  connections: number
}

export interface Latencies {
  p50Ms: number
  p99Ms: number
  maxMs: number
  count: number
}

export interface MixedResult {
  requests: number
  /** Answers that were none, or not one of the right ones: at most twenty as text, and how many. */
  faults: number
  firstFaults: string[]
  groups: Record<Kind['group'], Latencies>
  /** Requests that were still waiting for a connection at the end. */
  backlog: number
}

/** Ids of accepted jobs that are asked for: of the last seconds, so that none is purged yet. */
const recentJobs = 2_000
const longestWaitMs = 30_000

async function run({
  port,
  token,
  perSecond,
  milliseconds,
  connections
}: MixedRequest): Promise<MixedResult> {
  const kinds = inOrder()
  const recent: string[] = []
  let counter = 0
  const context: MixContext = {
    token,
    recentJob: () => (recent.length === 0 ? null : recent[(Math.random() * recent.length) | 0]!),
    unique: () => ++counter
  }
  const latencies: Record<Kind['group'], number[]> = { accept: [], read: [], stream: [], garbage: [] }
  const firstFaults: string[] = []
  let faults = 0
  let requests = 0
  const free: Connection[] = Array.from({ length: connections }, () => createConnection(port))
  const waiting: { kind: Kind; dueAt: number }[] = []
  let underWay = 0

  function fault(kind: Kind, what: string): void {
    faults++
    if (firstFaults.length < 20) firstFaults.push(`${kind.name}: ${what.slice(0, 600)}`)
  }

  async function send(kind: Kind, dueAt: number, connection: Connection): Promise<void> {
    const text = kind.encode(context) ?? ''
    try {
      const answer = await connection.send(Buffer.from(text))
      if (!kind.statuses.includes(answer.status)) return fault(kind, answer.text)
      latencies[kind.group].push(performance.now() - dueAt)
      if (answer.status === 202) remember(answer.text)
    } catch (error) {
      fault(kind, String(error))
    }
  }

  function remember(text: string): void {
    const id = /"id":"([0-9a-z]{26})"/.exec(text)?.[1]
    if (id === undefined) return
    if (recent.length < recentJobs) recent.push(id)
    else recent[counter++ % recentJobs] = id
  }

  async function readWebSocket(kind: Kind, dueAt: number, path: string): Promise<void> {
    try {
      const { opened, done } = readStream({ port, path, token, slow: null })
      opened.catch(() => {})
      const { ended, faults: holes, closeCode } = await done
      if (!ended || holes > 0 || closeCode !== 1000)
        return fault(kind, `ended: ${ended}, holes: ${holes}, closed with ${closeCode}`)
      latencies[kind.group].push(performance.now() - dueAt)
    } catch (error) {
      fault(kind, String(error))
    }
  }

  function pump(): void {
    while (free.length > 0 && waiting.length > 0) {
      const { kind, dueAt } = waiting.shift()!
      const connection = free.pop()!
      underWay++
      void send(kind, dueAt, connection).finally(() => {
        underWay--
        free.push(connection)
        pump()
      })
    }
  }

  function start(kind: Kind, dueAt: number): void {
    requests++
    if (kind.path === undefined) {
      waiting.push({ kind, dueAt })
      return
    }
    const path = kind.path(context)!
    underWay++
    void readWebSocket(kind, dueAt, path).finally(() => underWay--)
  }

  const startedAt = performance.now()
  const stopAt = startedAt + milliseconds
  for (let sent = 0; performance.now() < stopAt;) {
    const due = Math.floor(((performance.now() - startedAt) * perSecond) / 1000)
    for (; sent < due; sent++) {
      const kind = kinds[sent % kinds.length]!
      // Until the first job was accepted there is nothing to ask for.
      const asked = recent.length === 0 && needsJob(kind) ? mix[0]! : kind
      start(asked, startedAt + (sent * 1000) / perSecond)
    }
    pump()
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  const backlog = waiting.length
  const giveUpAt = performance.now() + longestWaitMs
  while ((underWay > 0 || waiting.length > 0) && performance.now() < giveUpAt)
    await new Promise((resolve) => setTimeout(resolve, 10))
  if (underWay + waiting.length > 0)
    fault(mix[0]!, `${underWay + waiting.length} requests got no answer within ${longestWaitMs} ms`)
  for (const connection of free) connection.close()
  const summarise = (values: number[]): Latencies => ({
    p50Ms: quantile(values, 0.5),
    p99Ms: quantile(values, 0.99),
    maxMs: quantile(values, 1),
    count: values.length
  })
  return {
    requests,
    faults,
    firstFaults,
    backlog,
    groups: {
      accept: summarise(latencies.accept),
      read: summarise(latencies.read),
      stream: summarise(latencies.stream),
      garbage: summarise(latencies.garbage)
    }
  }
}

const needsJob = (kind: Kind): boolean =>
  kind.path !== undefined || kind.encode({ token: '', recentJob: () => null, unique: () => 0 }) === null

/** Four hundred places in which each kind stands as often as its share says, spread evenly. */
function inOrder(): Kind[] {
  const places = mix.flatMap((kind) => {
    const count = kind.share * 4
    return Array.from({ length: count }, (_, at) => ({ kind, at: (at + 0.5) / count }))
  })
  return places.toSorted((a, b) => a.at - b.at).map(({ kind }) => kind)
}

answerParent(run)
