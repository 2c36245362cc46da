import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'
import { networkList, networkOf } from './addresses.ts'
import { RoostError } from './errors.ts'
import { answerSocket } from './http.ts'

export interface ConnectionLimits {
  /** Open at one time, in all and of one address (an IPv6 /64). */
  connections: number
  connectionsPerAddress: number
  /** Proxies, as addresses or networks: theirs are the connections of many clients. */
  trusted: readonly string[]
  log: FastifyBaseLogger
}

/** How often a refusal is logged at most: who floods us shall not flood the log. */
const logEveryMs = 10_000

/** Bounds how many connections the server holds: one address is answered 429 and closed, beyond the whole bound none is taken. */
export function guardConnections(
  server: Server,
  { connections, connectionsPerAddress, trusted, log }: ConnectionLimits
): void {
  const isProxy = networkList(trusted)
  const open = new Map<string, number>()
  let loggedAt = -Infinity

  function logRefusal(from: string, message: string): void {
    if (performance.now() - loggedAt < logEveryMs) return
    loggedAt = performance.now()
    log.warn({ from }, message)
  }

  server.maxConnections = connections
  server.on('drop', (data) => logRefusal(data?.remoteAddress ?? 'none', 'a connection too many was refused'))
  server.on('connection', (socket: Socket) => {
    const { remoteAddress = '' } = socket
    if (isProxy(remoteAddress)) return
    const from = networkOf(remoteAddress)
    const count = (open.get(from) ?? 0) + 1
    open.set(from, count)
    socket.once('close', () => {
      const left = open.get(from)! - 1
      if (left === 0) open.delete(from)
      else open.set(from, left)
    })
    if (count <= connectionsPerAddress) return
    logRefusal(from, 'an address has too many connections')
    answerSocket(
      socket,
      new RoostError(
        'rate-limited',
        `One address may hold ${connectionsPerAddress} connections; close some`,
        {
          headers: { 'retry-after': '10' }
        }
      )
    )
    socket.destroySoon()
  })
}
