import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** A bar of bench/baseline.json: what must be reached, and what was measured when it was last looked at. */
export interface Bar {
  side: 'at least' | 'at most'
  limit: number
  /** Where the limit comes from, or why it was changed. */
  reason: string
  mean: number | null
  spread: string | null
}

export interface Figure {
  what: string
  value: number
  unit: string
  /** The same of the baseline, measured in the same run. */
  baseline?: number
  /** Key of its bar in bench/baseline.json. */
  bar?: string
}

export interface BenchReport {
  name: string
  title: string
  /** What was done, and what the baseline is. */
  method: string
  figures: Figure[]
}

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const bars = JSON.parse(readFileSync(file('baseline.json'), 'utf8')) as Record<string, Bar>

/** Whether the figure reaches its bar; null where it has none. Throws where the bar is not in baseline.json. */
export function verdict(figure: Figure): boolean | null {
  if (figure.bar === undefined) return null
  const bar = bars[figure.bar]
  if (bar === undefined) throw new Error(`bench/baseline.json has no bar "${figure.bar}"`)
  return bar.side === 'at least' ? figure.value >= bar.limit : figure.value <= bar.limit
}

export const hasPassed = (report: BenchReport): boolean =>
  report.figures.every((figure) => verdict(figure) !== false)

function show(value: number, unit: string): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 3
  return `${value.toLocaleString('en', { maximumFractionDigits: digits })}${unit === '' ? '' : ` ${unit}`}`
}

/** The figures as a Markdown table, which reads well on a terminal too. */
export function toTable(report: BenchReport): string {
  const rows = report.figures.map((figure) => {
    const bar = figure.bar === undefined ? undefined : bars[figure.bar]
    const passed = verdict(figure)
    return [
      figure.what,
      show(figure.value, figure.unit),
      figure.baseline === undefined ? '' : show(figure.baseline, figure.unit),
      figure.baseline === undefined ? '' : show(figure.value / figure.baseline, ''),
      bar === undefined ? '' : `${bar.side} ${show(bar.limit, figure.unit)}`,
      passed === null ? '' : passed ? 'pass' : '**FAIL**'
    ]
  })
  const table = [['figure', 'Roost', 'baseline', 'ratio', 'bar', ''], ...rows]
  const widths = (table[0] ?? []).map((_, column) =>
    Math.max(3, ...table.map((row) => (row[column] ?? '').length))
  )
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  const [head = [], ...body] = table
  return [line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...body.map(line)].join(
    '\n'
  )
}

const preface = `# Measured

Each section is written by \`npm run bench -- NAME --write\` (the torture run: \`npm run torture -- --write\`), with its baseline
measured in the same run, in alternating rounds. The bars are those of bench/baseline.json, where each has its reason.
`

/** Puts the report into its section of bench/RESULTS.md, in place of the one before. */
export function writeSection(
  report: BenchReport,
  { command, machine, load, date }: { command: string; machine: string; load: string; date: string }
): void {
  const target = file('RESULTS.md')
  const text = existsSync(target) ? readFileSync(target, 'utf8') : preface
  const [start, end] = [`<!-- bench ${report.name} -->`, `<!-- end ${report.name} -->`]
  const section = `${start}\n## ${report.title}\n\n${report.method}\n\n${toTable(report)}\n\n\`${command}\` on ${date}; ${machine}; ${load}.\n${end}\n`
  const from = text.indexOf(start)
  const to = text.indexOf(end)
  writeFileSync(
    target,
    from === -1
      ? `${text.trimEnd()}\n\n${section}`
      : `${text.slice(0, from)}${section}${text.slice(to + end.length + 1)}`
  )
}
