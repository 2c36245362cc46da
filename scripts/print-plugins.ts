/** Prints the tree of plugins with the time that each took to load. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp } from '../src/app.ts'
import { loadConfig } from '../src/config/load.ts'

const dataDir = mkdtempSync(join(tmpdir(), 'roost-plugins-'))
const app = await createApp(loadConfig(['--data-dir', dataDir, '--log-level', 'error'], {}).config)
await app.ready()
console.log(app.printPlugins())
await app.close()
rmSync(dataDir, { recursive: true, force: true })
