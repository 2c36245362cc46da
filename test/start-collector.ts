import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'

/** One span as the kit's collector prints it. */
export interface CollectedSpan {
  name: string
  traceId: string
  id: string
  parentId: string
  kind: string
  status: string
  attributes: Record<string, string>
  /** Span ids of what it is linked to. */
  links: { traceId: string; id: string }[]
}

export interface Collector {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly url: string
  /** All that it printed. */
  readonly text: string
  spans(): CollectedSpan[]
  /** The first span that fits, as soon as it is there. */
  span(fits: (span: CollectedSpan) => boolean, what: string): Promise<CollectedSpan>
  end(): Promise<void>
}

/** Two ports that are free now; the collector takes no zero. */
async function freePorts(): Promise<number[]> {
  const servers = [createServer(), createServer()]
  const ports: number[] = []
  for (const server of servers) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    ports.push((server.address() as { port: number }).port)
  }
  for (const server of servers) server.close()
  return ports
}

/** Starts the kit's real OTLP collector and waits until it listens. `port`: the one that another had before. */
export async function startCollector(program: string, port?: number): Promise<Collector> {
  const [grpc, http] = await freePorts()
  const httpPort = port ?? http!
  const child = spawn(program, [String(grpc), String(httpPort)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: string[] = []
  const waiting = new Set<() => void>()
  const output = createInterface({ input: child.stdout })
  let printed: NodeJS.Timeout | undefined
  output.on('line', (line) => {
    lines.push(line)
    // A batch is printed line by line: it is looked at when no more comes.
    clearTimeout(printed)
    printed = setTimeout(() => waiting.forEach((look) => look()), 30)
  })
  const until = async <T>(find: () => T | undefined, what: string): Promise<T> =>
    await new Promise<T>((resolve, reject) => {
      const finish = (settle: () => void) => {
        waiting.delete(look)
        clearTimeout(timer)
        settle()
      }
      const look = () => {
        const found = find()
        if (found !== undefined) finish(() => resolve(found))
      }
      const timer = setTimeout(
        () =>
          finish(() =>
            reject(new Error(`No ${what} came. The collector printed:\n${lines.slice(-80).join('\n')}`))
          ),
        20_000
      )
      child.once('exit', () =>
        finish(() => reject(new Error(`The collector ended while ${what} was awaited`)))
      )
      waiting.add(look)
      look()
    })
  await until(() => lines.find((line) => line.includes('Starting Rotel')), 'first line of the collector')
  return {
    url: `http://127.0.0.1:${httpPort}`,
    get text() {
      return lines.join('\n')
    },
    spans: () => readSpans(lines),
    span: async (fits, what) => await until(() => readSpans(lines).find(fits), what),
    async end() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  }
}

/** What stands behind an arrow is of the link begun last, else of the span; an event's are kept with the span's. */
function readAttribute(
  span: CollectedSpan,
  link: { traceId: string; id: string } | null,
  key: string,
  value: string
) {
  if (link !== null && key === 'Trace ID') link.traceId = value
  else if (link !== null && key === 'ID') link.id = value
  else span.attributes[key] = value.replace(/^\w+\((.*)\)$/, '$1')
}

function readSpans(lines: readonly string[]): CollectedSpan[] {
  const spans: CollectedSpan[] = []
  let link: { traceId: string; id: string } | null = null
  for (const line of lines) {
    if (/^Span #\d+/.test(line)) {
      link = null
      spans.push({
        name: '',
        traceId: '',
        id: '',
        parentId: '',
        kind: '',
        status: '',
        attributes: {},
        links: []
      })
      continue
    }
    const span = spans.at(-1)
    if (span === undefined) continue
    const [, key = '', value = ''] = /^\s*(?:-> )?([^:]+?)\s*: ?(.*)$/.exec(line) ?? []
    if (line.startsWith('SpanLink #')) span.links.push((link = { traceId: '', id: '' }))
    else if (/^(ResourceSpans|ScopeSpans) #/.test(line)) link = null
    else if (/^\s+->/.test(line)) readAttribute(span, link, key, value)
    else if (key === 'Trace ID') span.traceId = value
    else if (key === 'ID') span.id = value
    else if (key === 'Parent ID') span.parentId = value
    else if (key === 'Name') span.name = value
    else if (key === 'Kind') span.kind = value
    else if (key === 'Status code') span.status = value
  }
  return spans
}
