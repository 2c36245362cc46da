import { isAbsolute, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { FastifyPluginAsync, FastifyPluginCallback } from 'fastify'
import type { Config } from './config/schema.ts'

type Plugin = FastifyPluginAsync<Record<string, unknown>> | FastifyPluginCallback<Record<string, unknown>>

/**
 * Loads what `plugins:` of the configuration names: a path (absolute, or relative to the current folder), which may be
 * TypeScript, or a package, which ships JavaScript. Its default export is a Fastify plugin.
 */
export async function loadExtension(entry: Config['plugins'][number]): Promise<Plugin> {
  const name = typeof entry === 'string' ? entry : entry.path
  const specifier = isAbsolute(name) || name.startsWith('.') ? pathToFileURL(resolve(name)).href : name
  let loaded: { default?: unknown }
  try {
    loaded = (await import(specifier)) as { default?: unknown }
  } catch (error) {
    throw new Error(`plugins: "${name}" cannot be loaded: ${(error as Error).message}`, { cause: error })
  }
  if (typeof loaded.default !== 'function')
    throw new Error(`plugins: "${name}" has no default export that is a Fastify plugin`)
  return loaded.default as Plugin
}
