import { closeSync, fsyncSync, openSync } from 'node:fs'
import { workerData } from 'node:worker_threads'
import Database from 'better-sqlite3'
import type { BackupMark } from './backup.ts'

// Runs as a thread of its own (backup.ts): marks the copy as restored, checks it and brings it to disk.
const { file, restored }: BackupMark = workerData
const database = new Database(file)
try {
  // One file without a WAL beside it; its header then tells a restored backup from a database that was in use (files.ts).
  database.pragma('journal_mode = delete')
  database
    .prepare(
      "insert into settings (key, value) values ('restored', ?) on conflict (key) do update set value = excluded.value"
    )
    .run(restored)
  const verdict = database.pragma('quick_check(1)', { simple: true })
  if (verdict !== 'ok')
    throw new Error(`the copy is damaged, and so is the database most likely: ${String(verdict)}`)
} finally {
  database.close()
}
const fd = openSync(file, 'r+')
fsyncSync(fd)
closeSync(fd)
