import type { Kysely } from 'kysely'
import type { SettingReader, SettingWriter } from '../../../src/contracts/storage.ts'
import type { Tables } from '../tables.ts'

export function createSettingReader(db: Kysely<Tables>): SettingReader {
  return {
    async get(key) {
      const row = await db.selectFrom('settings').select('value').where('key', '=', key).executeTakeFirst()
      return row?.value ?? null
    }
  }
}

export function createSettingWriter(db: Kysely<Tables>): SettingWriter {
  return {
    ...createSettingReader(db),
    async set(key, value) {
      if (value === null) await db.deleteFrom('settings').where('key', '=', key).execute()
      else
        await db
          .insertInto('settings')
          .values({ key, value })
          .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
          .execute()
    }
  }
}
