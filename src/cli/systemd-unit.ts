import { UsageError } from './exit.ts'

export interface UnitOptions {
  /** Absolute path of ./roost. */
  launcher: string
  /** Arguments of `roost up`. */
  flags: readonly string[]
  system: boolean
  /** Null = whom systemd takes: root, or the user of a user unit. */
  runAs: string | null
  /** Where the Node is that runs this. */
  nodeDir: string
  home: string
}

const standardPath = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']

/** The unit under which a stop, a restart or an upgrade of the service leaves its jobs running. */
export function unitText({ launcher, flags, system, runAs, nodeDir, home }: UnitOptions): string {
  const path = [...new Set([nodeDir, ...standardPath])].join(':')
  return `[Unit]
Description=Roost: runs jobs on this machine
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${[launcher, 'up', ...flags].map((word, i) => quote(word, i > 0)).join(' ')}
Environment=${quote(`PATH=${path}`, false)}
${system && runAs === null ? `Environment=${quote(`HOME=${home}`, false)}\n` : ''}${runAs === null ? '' : `User=${runAs}\n`}# The jobs are in the same control group and outlive the service: only the service itself is ended.
KillMode=process
# Lets the service make control groups for its jobs, and with them hard limits.
Delegate=yes
Restart=always
RestartSec=1
TimeoutStopSec=60

[Install]
WantedBy=${system ? 'multi-user.target' : 'default.target'}
`
}

/** As systemd.service(5) and systemd.syntax(7) have it; `$` is expanded in arguments only. */
function quote(word: string, isArgument: boolean): string {
  if (/[\0\n\r]/.test(word))
    throw new UsageError(`A unit cannot hold ${JSON.stringify(word)}: it has a line break`)
  const escaped = word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%')
  return `"${isArgument ? escaped.replaceAll('$', '$$$$') : escaped}"`
}
