/** What a dialect calls things in the text of a migration. */
export interface Words {
  /** A column that numbers the rows by itself, as the primary key. */
  numbered: string
  /** A 64-bit integer. */
  integer: string
  /** Ends a table of small rows. */
  table: string
  /** Ends a table whose rows are kept in the order of their primary key where the dialect can do that. */
  clustered: string
}

/** One step of the schema, forward only. A step that was released is never edited: the next one corrects it. */
export interface Migration {
  version: number
  name: string
  statements: (words: Words) => string[]
}
