import type { Service } from '../test/start-service.ts'

/** Node's flags for a CPU profile of the service in the folder; none without one. */
export const profileFlags = (folder: string | undefined): string[] =>
  folder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`]

/** Ends the service and its jobs; a profile is written at an orderly end only. */
export async function endProfiled(service: Service, folder: string | undefined): Promise<void> {
  if (folder !== undefined) await service.kill('SIGTERM')
  await service.end()
}
