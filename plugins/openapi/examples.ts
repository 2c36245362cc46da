import { readFileSync } from 'node:fs'

/** One request that was really sent, and its real answer; what changes from run to run holds stable values. */
export interface Exchange {
  title: string
  request: {
    method: string
    /** With its query. */
    path: string
    headers: Record<string, string>
    body?: unknown
  }
  answer: {
    status: number
    /** The media type; none of an answer without a body. */
    type?: string
    headers: Record<string, string>
    /** Of JSON the value, else the text; of a WebSocket its messages. */
    body?: unknown
  }
}
/** By operationId. */
export type Examples = Record<string, Exchange[]>

/** What `npm run gen` recorded. */
export const readExamples = (): Examples =>
  JSON.parse(readFileSync(new URL('./examples.gen.json', import.meta.url), 'utf8')) as Examples
