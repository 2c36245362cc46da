import type { Kysely, Selectable } from 'kysely'
import type { Agent, AgentReader, AgentWriter } from '../../../src/contracts/storage.ts'
import type { Tables } from '../tables.ts'

export function createAgentReader(db: Kysely<Tables>): AgentReader {
  return {
    async find(id) {
      const row = await db.selectFrom('agents').selectAll().where('id', '=', id).executeTakeFirst()
      return row === undefined ? null : toAgent(row)
    },
    async list() {
      const rows = await db.selectFrom('agents').selectAll().orderBy('name').orderBy('id').execute()
      return rows.map(toAgent)
    }
  }
}

export function createAgentWriter(db: Kysely<Tables>): AgentWriter {
  return {
    async upsert(agent) {
      const { id, name, kind, state } = agent
      const columns = {
        name,
        kind,
        state,
        local: agent.local ? 1 : 0,
        facts: JSON.stringify(agent.facts),
        seen_at: agent.seenAt
      }
      await db
        .insertInto('agents')
        .values({ id, ...columns })
        .onConflict((conflict) => conflict.column('id').doUpdateSet(columns))
        .execute()
    },
    async remove(id) {
      await db.deleteFrom('agents').where('id', '=', id).execute()
    }
  }
}

function toAgent({ id, name, kind, local, state, facts, seen_at }: Selectable<Tables['agents']>): Agent {
  return { id, name, kind, local: local === 1, state, facts: JSON.parse(facts), seenAt: seen_at }
}
