import type { Command } from './command.ts'

/** A command as the overview shows it; the rest is loaded when it is called. */
export interface Entry {
  group: 'service' | 'jobs' | 'nodes' | 'access' | 'more'
  summary: string
  load(): Promise<Command>
}

/** Every command. Help and completion are made from this table and from the flags of each. */
export const commands = {
  up: {
    group: 'service',
    summary: 'run the service here',
    load: async () => (await import('./commands/up.ts')).up
  },
  'install-service': {
    group: 'service',
    summary: 'run the service under systemd, from boot on',
    load: async () => (await import('./commands/install-service.ts')).installService
  },
  doctor: {
    group: 'service',
    summary: 'check the service and this machine, and say what to do',
    load: async () => (await import('./commands/doctor.ts')).doctor
  },
  config: {
    group: 'service',
    summary: 'show the effective configuration and where it comes from',
    load: async () => (await import('./commands/config.ts')).config
  },
  backup: {
    group: 'service',
    summary: 'copy the database into a file',
    load: async () => (await import('./commands/backup.ts')).backup
  },

  run: {
    group: 'jobs',
    summary: 'run a command as a job and follow it; --from runs a batch',
    load: async () => (await import('./commands/run.ts')).run
  },
  plan: {
    group: 'jobs',
    summary: 'show where a job would run and why, without running it',
    load: async () => (await import('./commands/plan.ts')).plan
  },
  ps: { group: 'jobs', summary: 'list jobs', load: async () => (await import('./commands/ps.ts')).ps },
  get: { group: 'jobs', summary: 'show one job', load: async () => (await import('./commands/get.ts')).get },
  logs: {
    group: 'jobs',
    summary: 'print what a job printed',
    load: async () => (await import('./commands/logs.ts')).logs
  },
  wait: {
    group: 'jobs',
    summary: 'wait until jobs end',
    load: async () => (await import('./commands/wait.ts')).wait
  },
  cancel: {
    group: 'jobs',
    summary: 'cancel jobs',
    load: async () => (await import('./commands/cancel.ts')).cancel
  },
  evict: {
    group: 'jobs',
    summary: 'end an attempt and put its job back into the queue',
    load: async () => (await import('./commands/evict.ts')).evict
  },
  rerun: {
    group: 'jobs',
    summary: 'run the same job once more',
    load: async () => (await import('./commands/rerun.ts')).rerun
  },
  queue: {
    group: 'jobs',
    summary: 'show waiting jobs in their order',
    load: async () => (await import('./commands/queue.ts')).queue
  },

  nodes: {
    group: 'nodes',
    summary: 'list nodes and what they have',
    load: async () => (await import('./commands/nodes.ts')).nodes
  },
  pods: {
    group: 'nodes',
    summary: 'list workloads of every runtime',
    load: async () => (await import('./commands/pods.ts')).pods
  },
  drain: {
    group: 'nodes',
    summary: 'let a node take no more jobs',
    load: async () => (await import('./commands/drain.ts')).drain
  },
  undrain: {
    group: 'nodes',
    summary: 'let a node take jobs again',
    load: async () => (await import('./commands/drain.ts')).undrain
  },

  secret: {
    group: 'access',
    summary: 'set, list and remove secrets',
    load: async () => (await import('./commands/secret.ts')).secret
  },
  token: {
    group: 'access',
    summary: 'print the local token; create, list and revoke others',
    load: async () => (await import('./commands/token.ts')).token
  },
  webhook: {
    group: 'access',
    summary: "show a job's webhooks; print the key that verifies them",
    load: async () => (await import('./commands/webhook.ts')).webhook
  },
  audit: {
    group: 'access',
    summary: 'show who changed what; verify that nothing of it was altered',
    load: async () => (await import('./commands/audit.ts')).audit
  },

  policy: {
    group: 'access',
    summary: 'check a policy file; explain what policies say of a job',
    load: async () => (await import('./commands/policy.ts')).policy
  },

  completion: {
    group: 'more',
    summary: 'print the completion for a shell',
    load: async () => (await import('./commands/completion.ts')).completion
  }
} as const satisfies Record<string, Entry>

export type CommandName = keyof typeof commands
