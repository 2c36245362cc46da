import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { execFile } from 'node:child_process'

export interface ProbedGpu {
  index: number
  id: string
  name: string
  memoryBytes: number
}

export interface GpuProbe {
  gpus: ProbedGpu[]
  /** What went wrong, for the log; a tool that is not there is not wrong. */
  problems: string[]
}

export interface ProbeOptions {
  /** The environment the tools are looked up and run in. */
  env?: NodeJS.ProcessEnv
  /** A driver that hangs must not hold up the start. */
  timeoutMs?: number
}

const nvidia = [
  'nvidia-smi',
  '--query-gpu=index,uuid,name,memory.total',
  '--format=csv,noheader,nounits'
] as const
const amd = ['rocm-smi', '--showuniqueid', '--showproductname', '--showmeminfo', 'vram', '--json'] as const

/**
 * Asks nvidia-smi, and rocm-smi where there is no NVIDIA GPU: the indexes of the two would clash, and a machine has one
 * kind. No tool, no GPUs; never rejects.
 */
export async function probeGpus({
  env = process.env,
  timeoutMs = 5_000
}: ProbeOptions = {}): Promise<GpuProbe> {
  const problems: string[] = []
  for (const [[tool, ...options], parse] of [
    [nvidia, parseNvidia],
    [amd, parseAmd]
  ] as const) {
    // Looked for first: a spawn that fails takes a big process some ten milliseconds of its start.
    if (!isOnPath(tool, env)) continue
    try {
      const output = await outputOf(tool, options, env, timeoutMs)
      const gpus = output === null ? [] : parse(output)
      if (gpus.length > 0) return { gpus, problems }
    } catch (error) {
      problems.push(`${tool} gave no GPUs: ${(error as Error).message.trim()}`)
    }
  }
  return { gpus: [], problems }
}

const isOnPath = (tool: string, env: NodeJS.ProcessEnv): boolean =>
  (env['PATH'] ?? '').split(delimiter).some((folder) => folder !== '' && existsSync(join(folder, tool)))

/** What a tool prints; null where there is no such tool. Rejects where it fails or takes too long. */
async function outputOf(
  tool: string,
  options: readonly string[],
  env: NodeJS.ProcessEnv,
  timeoutMs: number
): Promise<string | null> {
  return await new Promise((resolve, reject) => {
    const child = execFile(
      tool,
      options,
      { env, encoding: 'utf8', maxBuffer: 2 ** 20 },
      (error, stdout, stderr) => {
        clearTimeout(timer)
        if (error === null) resolve(stdout)
        else if (error.code === 'ENOENT') resolve(null)
        else reject(new Error(stderr.trim() || stdout.trim() || error.message, { cause: error }))
      }
    )
    // A process inside a hung driver cannot be killed: it is left to itself, and no longer waited for.
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      child.stdout?.destroy()
      child.stderr?.destroy()
      child.unref()
      reject(new Error(`no answer within ${timeoutMs} ms`))
    }, timeoutMs)
  })
}

/** Lines of `index, uuid, name, MiB`; memory is [N/A] where it is shared with the machine. */
function parseNvidia(output: string): ProbedGpu[] {
  return output.split('\n').flatMap((line) => {
    const fields = line.split(',').map((field) => field.trim())
    const [index = '', id = ''] = fields
    if (fields.length < 4 || !/^[0-9]+$/.test(index)) return []
    return [
      {
        index: Number(index),
        id,
        name: fields.slice(2, -1).join(', '),
        memoryBytes: toBytes(fields.at(-1)!, 2 ** 20)
      }
    ]
  })
}

/** `{"card0": {"Unique ID": …, "Card Series": …, "VRAM Total Memory (B)": …}}`; the letters' case differs by version. */
function parseAmd(output: string): ProbedGpu[] {
  const cards = JSON.parse(output) as Record<string, Record<string, unknown>>
  return Object.entries(cards).flatMap(([card, facts]) => {
    const index = /^card([0-9]+)$/.exec(card)?.[1]
    if (index === undefined) return []
    const fact = (name: string): string => {
      const key = Object.keys(facts).find((one) => one.toLowerCase() === name)
      return key === undefined ? '' : String(facts[key])
    }
    return [
      {
        index: Number(index),
        id: fact('unique id') || card,
        name: fact('card series') || 'AMD GPU',
        memoryBytes: toBytes(fact('vram total memory (b)'), 1)
      }
    ]
  })
}

const toBytes = (text: string, unit: number): number => (/^[0-9]+$/.test(text) ? Number(text) * unit : 0)
