/*
 * Quantities as people write them (src/schemas/job.ts) and as the code counts them: cores and bytes. What the schema
 * would refuse is null here.
 */

const cpuText = /^[0-9]{1,6}(?:\.[0-9]{1,3}|m)?$/
const memoryText = /^([0-9]{1,15})(?:\.([0-9]{1,3}))?(Ki|Mi|Gi|Ti|k|M|G|T)?$/

const units: Readonly<Record<string, number>> = {
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12
}
const binaryUnits = [
  ['Ti', 2 ** 40],
  ['Gi', 2 ** 30],
  ['Mi', 2 ** 20],
  ['Ki', 2 ** 10]
] as const

/** Cores of 0.5, "0.5" or "500m"; null where the schema refuses the value. */
export function parseCpu(value: number | string): number | null {
  if (typeof value === 'number') return value >= 0 && value <= 100_000 ? value : null
  if (!cpuText.test(value)) return null
  return value.endsWith('m') ? Number(value.slice(0, -1)) / 1000 : Number(value)
}

/** Bytes of 1024, "64Mi" or "1.5G", a fraction of a byte rounded up; null where the schema refuses the value. */
export function parseMemory(value: number | string): number | null {
  if (typeof value === 'number')
    return Number.isInteger(value) && value >= 0 && value <= 2 ** 50 ? value : null
  const match = memoryText.exec(value)
  if (match === null) return null
  const unit = match[3] === undefined ? 1 : units[match[3]]!
  // The fraction is counted in thousandths: 1.005k is 1005 bytes, where 1.005 * 1000 is not.
  const thousandths = Number((match[2] ?? '').padEnd(3, '0'))
  return Number(match[1]) * unit + Math.ceil((thousandths * unit) / 1000)
}

/** Whole thousandths of a core, rounded up: sums of them never drift as sums of 0.1 do. */
export function toMillicores(cores: number): number {
  // 0.115 * 1000 is a hair above 115, which must not count as 116.
  return Math.ceil(cores * 1000 - 1e-6)
}

export type Rounding = 'up' | 'down'

/** Cores for people: "2", "0.5", to a thousandth. */
export function formatCpu(cores: number, rounding: Rounding = 'up'): string {
  return String((rounding === 'up' ? toMillicores(cores) : Math.floor(cores * 1000 + 1e-6)) / 1000)
}

/**
 * Bytes for people, as they may be written in a job: "1.5Gi", "512Mi", "100" (bytes). A need is rounded up and what is
 * free down, so that two that differ never look as if the need were met.
 */
export function formatMemory(bytes: number, rounding: Rounding = 'up'): string {
  const round = rounding === 'up' ? Math.ceil : Math.floor
  for (const [name, unit] of binaryUnits) {
    if (bytes >= unit) return `${round((bytes / unit) * 10) / 10}${name}`
  }
  return String(round(bytes))
}
