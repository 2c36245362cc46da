/** A document of keys is some KiB; more is no answer that we would wait for. */
const maxBytes = 256 * 1024
const timeoutMs = 5_000

/** A JSON document by GET, without redirects. Throws where it is not there, not JSON, too large or too slow. */
export async function fetchJson(url: string): Promise<unknown> {
  const response = await fetch(url, {
    redirect: 'error',
    signal: AbortSignal.timeout(timeoutMs),
    headers: { accept: 'application/json' }
  })
  const chunks: Uint8Array[] = []
  let bytes = 0
  // Read to its end also where it is an error: only then can the connection be used again.
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new Error(`${url} answered with more than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  if (!response.ok) throw new Error(`${url} answered ${response.status}`)
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch (error) {
    throw new Error(`${url} did not answer with JSON`, { cause: error })
  }
}
