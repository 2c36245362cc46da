import { CliError, exits } from './exit.ts'

/** The service's configuration as it would be here, secrets masked. Throws with exit code 64 and every problem in it. */
export async function loadOrExplain(
  env: NodeJS.ProcessEnv,
  { config: file, dataDir }: { config?: string | undefined; dataDir?: string | undefined }
) {
  // The service's own reader: what it would refuse is refused here in the same words.
  const { ConfigError, loadConfig, maskConfig } = await import('../config/load.ts')
  try {
    const loaded = loadConfig(
      [
        ...(file === undefined ? [] : ['--config', file]),
        ...(dataDir === undefined ? [] : ['--data-dir', dataDir])
      ],
      env
    )
    return { ...loaded, config: maskConfig(loaded.config) }
  } catch (error) {
    if (error instanceof ConfigError)
      throw new CliError('config', exits.usage, error.message, { cause: error })
    throw error
  }
}
