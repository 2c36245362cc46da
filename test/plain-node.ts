/**
 * Begins a command line of Node as a user has it. Tap loads hooks of its own into every Node below a test, by
 * NODE_OPTIONS: a quarter of a service's start, nearly half of a command's.
 */
export const plainNode = { program: '/usr/bin/env', flags: ['-u', 'NODE_OPTIONS', process.execPath] } as const
