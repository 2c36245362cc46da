/**
 * One request of docs/api.md. Texts may hold `{{name}}`: a value that an earlier example kept, or `folder`, a folder of
 * this run.
 */
export interface Example {
  /** Its operationId. */
  operation: string
  /** What it shows, in a few words; unique within the operation. */
  title: string
  /** The status that must come. */
  status: number
  params?: Record<string, string>
  query?: Record<string, string>
  headers?: Record<string, string>
  body?: unknown
  /** null: sent without a token. Else a value that was kept; without it the local token. */
  token?: string | null
  /** Waits until the job with this id has come so far. */
  after?: { job: string; is: 'running' | 'ended' }
  /** Values of the answer for later examples: name -> the way to it, as in `record.id`. */
  keep?: Record<string, string>
  /** Only prepares what comes after it: stands in no document. */
  isSetup?: true
  /** What the page shows of a long answer. */
  shorten?: (body: unknown) => unknown
}
