import { defineCommand } from '../command.ts'

export const up = defineCommand({
  usage: '[FLAGS]',
  flags: {
    port: { type: 'string', value: 'N', help: 'port to listen on (default 7070; 0 = any free one)' },
    host: { type: 'string', value: 'ADDRESS', help: 'address to listen on (default 127.0.0.1)' },
    'data-dir': { type: 'string', value: 'DIR', help: 'where everything durable lives' },
    config: { type: 'string', value: 'FILE', help: 'roost.yaml' },
    'log-level': {
      type: 'string',
      help: 'how much is logged',
      choices: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']
    },
    'stop-jobs': { type: 'boolean', help: 'end the jobs of this node when the service stops' }
  },
  positionals: [0, Infinity],
  // The service reads its own flags: they are keys of its configuration.
  passesAll: true,
  notes: ['Ctrl-C stops the service and leaves its jobs running; the next "roost up" takes them up again.'],
  examples: ['roost up', 'roost up --port 0 --data-dir ./data'],
  async run(_context, _values, argv) {
    const { serve } = await import('../../service.ts')
    await serve(argv)
  }
})
