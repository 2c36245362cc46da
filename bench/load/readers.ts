import { answerParent } from '../child.ts'
import { readStream, type ReaderOptions, type Reading } from './frame-reader.ts'

/** First message: opens the readers, answered when all are. Second one: answered when all have read to the end. */
export type ReadersRequest = { open: readonly ReaderOptions[] } | { finish: true }

/** Connections that are being opened at one time: a listening socket holds no more than its backlog. */
const openAtOnce = 50

let readings: Promise<Reading>[] = []

async function serve(request: ReadersRequest): Promise<Reading[]> {
  if ('finish' in request) return await Promise.all(readings)
  readings = []
  for (let start = 0; start < request.open.length; start += openAtOnce) {
    const readers = request.open.slice(start, start + openAtOnce).map(readStream)
    readings.push(...readers.map(({ done }) => done))
    await Promise.all(readers.map(({ opened }) => opened))
  }
  return []
}

answerParent(serve)
