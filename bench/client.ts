import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { createInterface } from 'node:readline'
import { WebSocket } from 'ws'
import type { Frame, LoggedFrame } from '../src/schemas/frame.ts'
import type { Job } from '../src/schemas/job.ts'

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  text: string
  json<T>(): T
}

/** A client of one service over keep-alive connections, with nothing between it and the wire but Node's own parts. */
export function createClient(target: { url: string; token: string }, connections = 1) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const authorization = { authorization: `Bearer ${target.token}` }

  /** Rejects where no answer came, with the connection's error. */
  async function request(
    method: string,
    path: string,
    { body, headers = {} }: { body?: unknown; headers?: Record<string, string> } = {}
  ): Promise<Answer> {
    return await new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body)
      const sent = httpRequest(`${target.url}${path}`, {
        method,
        agent,
        headers: {
          ...authorization,
          ...headers,
          ...(text === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
        }
      })
      sent.on('error', reject)
      sent.on('response', (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const received = Buffer.concat(chunks).toString('utf8')
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: received,
            json: <T>() => JSON.parse(received) as T
          })
        })
      })
      sent.end(text)
    })
  }

  /** As `request`; any other status than `status` is an error that shows the answer. */
  async function expect(
    status: number,
    method: string,
    path: string,
    options: Parameters<typeof request>[2] = {}
  ): Promise<Answer> {
    const answer = await request(method, path, options)
    if (answer.status !== status)
      throw new Error(`${method} ${path} answered ${answer.status}, not ${status}: ${answer.text}`)
    return answer
  }

  return {
    request,
    expect,
    submit: async (spec: object): Promise<Job> =>
      (await expect(202, 'POST', '/schedule', { body: spec })).json<Job>(),
    job: async (id: string): Promise<Job> => (await expect(200, 'GET', `/v1/jobs/${id}`)).json<Job>(),

    /** Every job there is, page by page. */
    async listJobs(): Promise<Job[]> {
      const jobs: Job[] = []
      for (let cursor: string | null = ''; cursor !== null;) {
        const page: { items: Job[]; cursor: string | null } = (
          await expect(
            200,
            'GET',
            `/v1/jobs?limit=1000${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`
          )
        ).json()
        jobs.push(...page.items)
        cursor = page.cursor
      }
      return jobs
    },

    /** Opens the stream of a job; each frame goes to `onFrame` as it comes. `closed` resolves with the close code. */
    openStream(
      id: string,
      from: number,
      onFrame: (frame: Frame) => void
    ): { socket: WebSocket; closed: Promise<number> } {
      const socket = new WebSocket(
        `${target.url.replace('http', 'ws')}/stream/${id}?from=${from}`,
        ['roost.stream.v1'],
        { headers: authorization, perMessageDeflate: false }
      )
      socket.on('message', (message: Buffer) => onFrame(JSON.parse(message.toString('utf8')) as Frame))
      // What goes wrong is told by the close code; a connection that never was gives 1006.
      socket.on('error', () => {})
      const closed = new Promise<number>((resolve) => socket.once('close', resolve))
      return { socket, closed }
    },

    /** The log from `from` on to its end, by server-sent events. */
    async readEvents(id: string, from: number): Promise<LoggedFrame[]> {
      const frames: LoggedFrame[] = []
      await new Promise<void>((resolve, reject) => {
        const sent = httpRequest(`${target.url}/v1/jobs/${id}/events?from=${from}`, {
          agent,
          headers: authorization
        })
        sent.on('error', reject)
        sent.on('response', (response) => {
          if (response.statusCode !== 200)
            reject(new Error(`The events of ${id} answered ${response.statusCode}`))
          response.on('error', reject)
          const lines = createInterface({ input: response })
          lines.on('line', (line) => {
            if (!line.startsWith('data: ')) return
            const frame = JSON.parse(line.slice('data: '.length)) as Frame
            if (frame.type !== 'heartbeat') frames.push(frame)
          })
          lines.on('close', resolve)
        })
        sent.end()
      })
      return frames
    },

    close: () => agent.destroy()
  }
}

export type Client = ReturnType<typeof createClient>
