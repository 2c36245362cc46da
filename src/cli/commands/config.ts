import { defineCommand } from '../command.ts'

export const config = defineCommand({
  usage: '[FLAGS]',
  flags: { config: { type: 'string', value: 'FILE', help: 'roost.yaml (default: ROOST_CONFIG)' } },
  positionals: [0, 0],
  notes: [
    "What 'roost up' would start with here: defaults < roost.yaml < ROOST_* < flags. Secrets are masked."
  ],
  examples: ['roost config', 'roost config --config /etc/roost.yaml --json'],
  async run(context, values) {
    const { loadOrExplain } = await import('../load-config.ts')
    const dataDir = context.connectionOptions.dataDir
    const {
      config: shown,
      sources,
      file
    } = await loadOrExplain(context.env, { config: values.config, dataDir })
    if (context.json) return await context.printJson({ config: shown, sources, file })
    const rows = Object.entries(shown).map(([key, value]) => [
      key,
      show(value),
      sources[key] ?? context.paint('dim', 'default')
    ])
    await context.printTable(['KEY', 'VALUE', 'FROM'], rows)
  }
})

const show = (value: unknown): string => (typeof value === 'string' ? value || "''" : JSON.stringify(value))
