import type { JobSpec } from '../session.ts'

/** A line of a batch that is a job. */
export interface BatchLine {
  line: number
  spec: JobSpec
}
/** A line that is none, and why. */
export interface BadLine {
  line: number
  message: string
}

/**
 * The jobs of a batch file: one a line, as a JSON object (a job) or a JSON array of strings (the command of one). Empty
 * lines are left out. `cwd` is given to commands that name none (null = a folder of their own).
 */
export function readBatch(text: string, cwd: string | null): { lines: BatchLine[]; bad: BadLine[] } {
  const lines: BatchLine[] = []
  const bad: BadLine[] = []
  for (const [index, raw] of text.split('\n').entries()) {
    // A byte order mark may stand before the first line.
    const written = (index === 0 ? raw.replace(/^\uFEFF/, '') : raw).trim()
    if (written === '') continue
    const line = index + 1
    const read = readLine(written, cwd)
    if (typeof read === 'string') bad.push({ line, message: read })
    else lines.push({ line, spec: read })
  }
  return { lines, bad }
}

/** The job, or what is wrong. */
function readLine(written: string, cwd: string | null): JobSpec | string {
  let value: unknown
  try {
    value = JSON.parse(written)
  } catch (error) {
    return `is not JSON: ${(error as Error).message}`
  }
  const folder = cwd === null ? {} : { cwd }
  if (Array.isArray(value)) {
    if (value.length === 0) return 'is an empty command'
    const other = value.findIndex((word) => typeof word !== 'string')
    return other === -1
      ? { task: { type: 'process', command: value as string[], ...folder } }
      : `is a command whose word ${other + 1} is no string`
  }
  if (typeof value !== 'object' || value === null)
    return 'must be a JSON object (a job) or an array of strings (a command)'
  if (!('task' in value)) {
    return 'command' in value
      ? 'has no task; write {"task": {"type": "process", "command": [...]}} or just the array'
      : 'has no task; write {"task": {...}}'
  }
  // What else a job may hold is the service's to say.
  return value as JobSpec
}
