/** The service's entry. What it loads is compiled once: later starts take the compiled code from the cache. */
import { enableCompileCache } from 'node:module'

enableCompileCache()
const { serve } = await import('./service.ts')
await serve(process.argv.slice(2))
