import { Webhook } from 'standardwebhooks'

const prefix = 'whsec_'

/** The headers of Standard Webhooks: `at` is the time of this try, the id that of the delivery. Throws where a key is none. */
export function signedHeaders(
  id: string,
  at: number,
  body: string,
  keys: readonly string[]
): Record<string, string> {
  const time = new Date(at)
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at / 1000)),
    'webhook-signature': keys.map((key) => toSigner(key).sign(id, time, body)).join(' ')
  }
}

/** `whsec_` and base64, as the standard has it; a secret in any other form is taken byte for byte. */
function toSigner(key: string): Webhook {
  if (!key.startsWith(prefix)) return new Webhook(Buffer.from(key, 'utf8'), { format: 'raw' })
  const text = key.slice(prefix.length)
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || text.length % 4 !== 0)
    throw new Error('what follows whsec_ in its secret must be base64')
  return new Webhook(key)
}
