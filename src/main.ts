/** The service's entry. What it loads is compiled once: later starts take the compiled code from the cache. */
import { enableCompileCache, flushCompileCache } from 'node:module'

enableCompileCache()
const { serve } = await import('./service.ts')
await serve(process.argv.slice(2))
// Node writes the cache at an orderly exit; a service may never have one.
flushCompileCache()
