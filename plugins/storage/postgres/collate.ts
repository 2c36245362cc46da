import { sql, type Kysely } from 'kysely'
import type { Tables } from '../tables.ts'

/**
 * Gives every text column the order of its bytes, as SQLite has it: ids, keys and names compare and sort alike in both
 * dialects, whatever the database was made with, and an index does not depend on the C library of the machine.
 */
export async function collateByBytes(db: Kysely<Tables>): Promise<void> {
  const { rows } = await sql<{ table: string; columns: string[] }>`
    select c.relname as table, array_agg(a.attname::text) as columns
    from pg_attribute a
    join pg_class c on c.oid = a.attrelid and c.relkind = 'r'
    join pg_namespace n on n.oid = c.relnamespace and n.nspname = current_schema()
    join pg_collation l on l.oid = a.attcollation and l.collname <> 'C'
    where a.attnum > 0 and not a.attisdropped and a.atttypid = 'text'::regtype
    group by c.relname`.execute(db)
  for (const { table, columns } of rows) {
    const changes = columns.map((column) => sql`alter column ${sql.ref(column)} type text collate "C"`)
    await sql`alter table ${sql.table(table)} ${sql.join(changes)}`.execute(db)
  }
}
