import { Type } from '@sinclair/typebox'

/** `off`, or how many in how many seconds. */
export const rate = (options: { default: string; description: string }) =>
  Type.String({ pattern: '^(off|[1-9][0-9]{0,9}/[1-9][0-9]{0,5})$', ...options })

const seconds = (fallback: number, description: string) =>
  Type.Number({ default: fallback, minimum: 0.1, maximum: 86_400, description })
const count = (fallback: number, description: string) =>
  Type.Integer({ default: fallback, minimum: 1, maximum: 1_000_000, description })

/** `limits` of roost.yaml: what strangers may take of the service. */
export const Limits = Type.Object(
  {
    authFailures: rate({
      default: '60/60',
      description: 'Unknown tokens of one address, in how many seconds; then it has to wait.'
    }),
    headersSeconds: seconds(20, 'Within this the headers of a request must be there.'),
    requestSeconds: seconds(60, 'Within this the whole request must be there.'),
    keepAliveSeconds: seconds(
      75,
      'An idle connection is closed after this; longer than a proxy keeps its own.'
    ),
    connections: count(10_000, 'Connections at one time.'),
    connectionsPerAddress: count(2_500, 'The same of one address (an IPv6 /64) that is no trusted proxy.'),
    readers: count(5_000, 'Open streams (WebSocket, events, followed logs) at one time.'),
    readersPerToken: count(2_000, 'The same of one token.'),
    eventLoopDelayMs: Type.Integer({
      default: 1000,
      minimum: 0,
      description: 'Mean delay of the event loop in a sample above which requests are shed; 0 = never.'
    }),
    sampleSeconds: Type.Number({
      default: 3,
      minimum: 0.02,
      maximum: 60,
      description: 'How often the load is looked at: a stall that is shorter sheds nothing.'
    }),
    heapPercent: Type.Integer({
      default: 90,
      minimum: 0,
      maximum: 100,
      description: 'Part of the largest heap above which requests are shed; 0 = never.'
    }),
    rssBytes: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
      default: null,
      description:
        'Memory of the service above which requests are shed; 0 = never; null = 90 % of what its cgroup may take.'
    })
  },
  { default: {}, additionalProperties: false }
)

/** `N/S` as numbers; null for `off`. */
export function readRate(text: string): { max: number; windowMs: number } | null {
  if (text === 'off') return null
  const [max, seconds] = text.split('/').map(Number) as [number, number]
  return { max, windowMs: seconds * 1000 }
}
