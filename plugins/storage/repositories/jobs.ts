import { sql, type CompiledQuery, type Kysely, type Selectable } from 'kysely'
import type { JobFilter, JobReader, JobWriter, Page } from '../../../src/contracts/storage.ts'
import type { AttemptRecord, JobRecord } from '../../../src/domain/job-state.ts'
import { isFinished } from '../../../src/domain/job-state.ts'
import { RoostError, UniqueViolation } from '../../../src/errors.ts'
import { jobStates, type JobState } from '../../../src/schemas/job.ts'
import type { AttemptTable, JobTable, Tables } from '../tables.ts'
import { eventKey, keysPerJob } from './event-keys.ts'
import { attemptRow, changingColumns, jobRow, toAttempt, toJob } from './job-rows.ts'

// Both dialects take more, but a statement of its own for every length would fill the cache of prepared ones.
const idsAtOnce = 200
/** A page ends where it would grow larger: a thousand jobs of a megabyte each must not stand in memory at once. */
const mostPageBytes = 4 * 2 ** 20
/** What is large of a job; both dialects tell the length of a text without reading it. */
const sizeOfJob = sql<number>`octet_length(jobs.spec) + coalesce(octet_length(jobs.result), 0) + coalesce(octet_length(jobs.placement), 0)`
const unfinishedStates = jobStates.filter((state) => !isFinished(state))

export function createJobReader(db: Kysely<Tables>): JobReader {
  const findJob = compileFind(db)

  async function attemptsOf(ids: readonly string[]): Promise<Map<string, AttemptRecord[]>> {
    const attempts = new Map<string, AttemptRecord[]>(ids.map((id) => [id, []]))
    for (const some of chunks(ids, idsAtOnce)) {
      const rows = await db
        .selectFrom('attempts')
        .selectAll()
        .where('job_id', 'in', some)
        .orderBy('job_id')
        .orderBy('number')
        .execute()
      for (const row of rows) attempts.get(row.job_id)!.push(toAttempt(row))
    }
    return attempts
  }

  async function withAttempts(rows: Selectable<JobTable>[]): Promise<JobRecord[]> {
    const attempts = await attemptsOf(rows.map(({ id }) => id))
    return rows.map((row) => toJob(row, attempts.get(row.id)!))
  }

  /** The newest jobs of one state (null: of any) that pass the filter, by id, and how large each is. */
  async function newest(
    filter: JobFilter,
    states: readonly JobState[] | null,
    count: number
  ): Promise<{ id: string; bytes: number }[]> {
    const [label, ...moreLabels] = Object.entries(filter.labels ?? {})
    let query = db.selectFrom('jobs').select(['jobs.id', sizeOfJob.as('bytes')])
    if (states !== null)
      query = query.where(
        'jobs.state',
        states.length === 1 ? '=' : 'in',
        states.length === 1 ? states[0]! : states
      )
    if (filter.tenant !== undefined) query = query.where('jobs.tenant', '=', filter.tenant)
    if (filter.name !== undefined) query = query.where('jobs.name', '=', filter.name)
    for (const [key, value] of moreLabels) {
      query = query.where((eb) =>
        eb.exists(
          eb
            .selectFrom('job_labels as other')
            .select('other.key')
            .where('other.key', '=', key)
            .where('other.value', '=', value)
            .whereRef('other.job_id', '=', 'jobs.id')
        )
      )
    }
    if (label === undefined) {
      if (filter.cursor !== undefined) query = query.where('jobs.id', '<', filter.cursor)
      return await query.orderBy('jobs.id', 'desc').limit(count).execute()
    }
    // The label's own index leads, in the order that is asked for.
    let labelled = query
      .innerJoin('job_labels', 'job_labels.job_id', 'jobs.id')
      .where('job_labels.key', '=', label[0])
      .where('job_labels.value', '=', label[1])
    if (filter.cursor !== undefined) labelled = labelled.where('job_labels.job_id', '<', filter.cursor)
    return await labelled.orderBy('job_labels.job_id', 'desc').limit(count).execute()
  }

  async function list(filter: JobFilter): Promise<Page<JobRecord>> {
    const states =
      filter.states === undefined || filter.states.length === 0 ? null : [...new Set(filter.states)]
    const count = filter.limit + 1
    let found: { id: string; bytes: number }[]
    if (
      filter.name !== undefined ||
      Object.keys(filter.labels ?? {}).length > 0 ||
      (states === null && filter.tenant === undefined)
    ) {
      found = await newest(filter, states, count)
    } else {
      // One index range a state, each in order already: a sort over a million finished jobs is never needed.
      found = []
      for (const state of states ?? jobStates) found.push(...(await newest(filter, [state], count)))
      found.sort((a, b) => (a.id < b.id ? 1 : -1))
    }
    const shown = firstPage(found, filter.limit)
    return {
      items: await read(shown, states),
      cursor: found.length > shown.length ? shown.at(-1)! : null
    }
  }

  /** The jobs of these ids, in their order; those that were removed or left these states meanwhile are absent. */
  async function read(ids: readonly string[], states: readonly JobState[] | null): Promise<JobRecord[]> {
    const rows: Selectable<JobTable>[] = []
    for (const some of chunks(ids, idsAtOnce))
      rows.push(
        ...(await db.selectFrom('jobs').selectAll().where('id', 'in', some).orderBy('id', 'desc').execute())
      )
    return await withAttempts(rows.filter(({ state }) => states?.includes(state) ?? true))
  }

  return {
    list,

    find: findJob,

    async listUnfinished(afterId, limit) {
      const rows: Selectable<JobTable>[] = []
      for (const state of unfinishedStates) {
        let query = db.selectFrom('jobs').selectAll().where('state', '=', state)
        if (afterId !== null) query = query.where('id', '>', afterId)
        rows.push(...(await query.orderBy('id').limit(limit).execute()))
      }
      rows.sort((a, b) => (a.id < b.id ? -1 : 1))
      return await withAttempts(rows.slice(0, limit))
    },

    async findUnfinishedByName(tenant, name) {
      const row = await db
        .selectFrom('jobs')
        .selectAll()
        .where('tenant', '=', tenant)
        .where('name', '=', name)
        .where('finished', '=', (eb) => eb.lit(0))
        .orderBy('id', 'desc')
        .limit(1)
        .executeTakeFirst()
      return row === undefined ? null : (await withAttempts([row]))[0]!
    },

    async states(tenant, ids) {
      const states = new Map<string, JobState>()
      for (const some of chunks(ids, idsAtOnce)) {
        const rows = await db
          .selectFrom('jobs')
          .select(['id', 'state'])
          .where('tenant', '=', tenant)
          .where('id', 'in', some)
          .execute()
        for (const { id, state } of rows) states.set(id, state)
      }
      return states
    },

    async listDependents(id) {
      const rows = await db
        .selectFrom('job_dependencies')
        .innerJoin('jobs', 'jobs.id', 'job_dependencies.job_id')
        .select('jobs.id')
        .where('job_dependencies.depends_on', '=', id)
        .where('jobs.finished', '=', (eb) => eb.lit(0))
        .orderBy('job_dependencies.job_id')
        .execute()
      return rows.map((row) => row.id)
    },

    async listExpired(now, limit) {
      const rows = await db
        .selectFrom('jobs')
        .select('id')
        .where('expires_at', '<=', now)
        .orderBy('expires_at')
        .limit(limit)
        .execute()
      return rows.map(({ id }) => id)
    },

    async countByState() {
      const counts = Object.fromEntries(jobStates.map((state) => [state, 0])) as Record<JobState, number>
      const rows = await db
        .selectFrom('jobs')
        .select((eb) => ['state', eb.fn.countAll().as('count')] as const)
        .groupBy('state')
        .execute()
      for (const { state, count } of rows) counts[state] = Number(count)
      return counts
    },

    async logUsage(tenant) {
      const rows = await db
        .selectFrom('jobs')
        .innerJoin('attempts', 'attempts.job_id', 'jobs.id')
        .where('jobs.tenant', '=', tenant)
        .select((eb) => ['jobs.submitted_by as token', eb.fn.sum('attempts.log_bytes').as('bytes')] as const)
        .groupBy('jobs.submitted_by')
        .execute()
      return rows.map(({ token, bytes }) => ({ token, bytes: Number(bytes) }))
    }
  }
}

export function createJobWriter(db: Kysely<Tables>): JobWriter {
  const { find, findUnfinishedByName, states, listDependents } = createJobReader(db)
  const putAttempt = compileAttemptUpsert(db)
  const insertJob = compileJobInsert(db)
  const changeJob = compileJobUpdate(db)
  return {
    find,
    findUnfinishedByName,
    states,
    listDependents,

    async insert(job) {
      const { numAffectedRows } = await db.executeQuery(insertJob(job))
      if (numAffectedRows !== 1n) throw new UniqueViolation(`Job ${job.id}`)
      await insertJobLinks(db, job)
    },

    async update(job) {
      const { numAffectedRows } = await db.executeQuery(changeJob(job))
      if (numAffectedRows !== 1n) throw new RoostError('job-not-found', `There is no job ${job.id} to update`)
      for (const attempt of job.attempts) await db.executeQuery(putAttempt(job.id, attempt))
    },

    async saveCursor(id, attempt, cursor, keptBytes) {
      const { numUpdatedRows } = await db
        .updateTable('attempts')
        .set((eb) => ({ cursor, log_bytes: eb('log_bytes', '+', keptBytes) }))
        .where('job_id', '=', id)
        .where('number', '=', attempt)
        .executeTakeFirstOrThrow()
      if (numUpdatedRows !== 1n)
        throw new RoostError(
          'job-not-found',
          `There is no attempt ${attempt} of job ${id} to keep a place for`
        )
    },

    async remove(id) {
      const row = await db
        .selectFrom('jobs')
        .select(['number', 'spec'])
        .where('id', '=', id)
        .executeTakeFirst()
      if (row === undefined) return
      const spec: JobRecord['spec'] = JSON.parse(row.spec)
      if (spec.webhook !== undefined)
        await db
          .deleteFrom('webhook_deliveries')
          .where('job_id', '=', id)
          .where('state', '<>', 'pending')
          .execute()
      for (const [key, value] of Object.entries(spec.labels ?? {})) {
        await db
          .deleteFrom('job_labels')
          .where('key', '=', key)
          .where('value', '=', value)
          .where('job_id', '=', id)
          .execute()
      }
      for (const dependency of spec.dependsOn ?? []) {
        await db
          .deleteFrom('job_dependencies')
          .where('depends_on', '=', dependency)
          .where('job_id', '=', id)
          .execute()
      }
      await db
        .deleteFrom('events')
        .where('key', '>', eventKey(row.number, 0))
        .where('key', '<', eventKey(row.number, keysPerJob))
        .execute()
      // Its attempts go with it (on delete cascade).
      await db.deleteFrom('jobs').where('id', '=', id).execute()
    }
  }
}

/** What stands in other tables of a job just inserted: its labels, dependencies and attempts; most have none. */
export async function insertJobLinks(db: Kysely<Tables>, job: JobRecord): Promise<void> {
  const labels = Object.entries(job.spec.labels ?? {}).map(([key, value]) => ({ key, value, job_id: job.id }))
  for (const some of chunks(labels, idsAtOnce)) await db.insertInto('job_labels').values(some).execute()
  const dependencies = [...new Set(job.spec.dependsOn)].map((depends_on) => ({ depends_on, job_id: job.id }))
  for (const some of chunks(dependencies, idsAtOnce))
    await db.insertInto('job_dependencies').values(some).execute()
  const attempts = job.attempts.map((attempt) => attemptRow(job.id, attempt))
  for (const some of chunks(attempts, idsAtOnce)) await db.insertInto('attempts').values(some).execute()
}

/*
 * Every step of a job is an update and an upsert: their queries are built once and get the values of each job, as
 * building them costs three times what SQLite needs. The values come in the order in which the rows name their columns.
 */
function compileJobInsert(db: Kysely<Tables>): (job: JobRecord) => CompiledQuery {
  const query = db
    .insertInto('jobs')
    .values(jobRow(shapeOfJob))
    .onConflict((conflict) => conflict.column('id').doNothing())
    .compile()
  return (job) => ({ ...query, parameters: Object.values(jobRow(job)) })
}

function compileJobUpdate(db: Kysely<Tables>): (job: JobRecord) => CompiledQuery {
  const shape = changingColumns(shapeOfJob)
  const query = db.updateTable('jobs').set(shape).where('id', '=', shapeOfJob.id).compile()
  return (job) => ({ ...query, parameters: [...Object.values(changingColumns(job)), job.id] })
}

/** One job by its id: what every read of the API and every change begins with. */
function compileFind(db: Kysely<Tables>): JobReader['find'] {
  const columns = Object.keys(attemptRow(shapeOfJob.id, shapeOfAttempt)) as (keyof AttemptTable)[]
  // One statement: read by two, a job and its attempts could be of different commits.
  const query = db
    .selectFrom('jobs')
    .leftJoin('attempts', 'attempts.job_id', 'jobs.id')
    .selectAll('jobs')
    .select((eb) => columns.map((column) => eb.ref(`attempts.${column}`).as(`attempt_${column}`)))
    .where('jobs.id', '=', shapeOfJob.id)
    .orderBy('attempts.number')
    .compile()
  type Row = Selectable<JobTable> & Record<string, unknown>
  const attemptOf = (row: Row) =>
    Object.fromEntries(
      columns.map((column) => [column, row[`attempt_${column}`]])
    ) as unknown as Selectable<AttemptTable>
  return async (id) => {
    const { rows } = await db.executeQuery<Row>({ ...query, parameters: [id] })
    const [row] = rows
    if (row === undefined) return null
    const isTried = row['attempt_number'] !== null
    return toJob(row, isTried ? rows.map((each) => toAttempt(attemptOf(each))) : [])
  }
}

function compileAttemptUpsert(db: Kysely<Tables>): (jobId: string, attempt: AttemptRecord) => CompiledQuery {
  const query = db
    .insertInto('attempts')
    .values(attemptRow(shapeOfJob.id, shapeOfAttempt))
    .onConflict((conflict) =>
      conflict.columns(['job_id', 'number']).doUpdateSet((eb) => ({
        state: eb.ref('excluded.state'),
        node: eb.ref('excluded.node'),
        runtime: eb.ref('excluded.runtime'),
        pod: eb.ref('excluded.pod'),
        exit_code: eb.ref('excluded.exit_code'),
        signal: eb.ref('excluded.signal'),
        reason: eb.ref('excluded.reason'),
        started_at: eb.ref('excluded.started_at'),
        finished_at: eb.ref('excluded.finished_at'),
        cursor: eb.ref('excluded.cursor'),
        gpus: eb.ref('excluded.gpus'),
        deadline_at: eb.ref('excluded.deadline_at'),
        preempted_by: eb.ref('excluded.preempted_by')
      }))
    )
    .compile()
  return (jobId, attempt) => ({ ...query, parameters: Object.values(attemptRow(jobId, attempt)) })
}

const shapeOfAttempt: AttemptRecord = {
  number: 1,
  state: 'starting',
  node: '',
  runtime: '',
  pod: null,
  exitCode: null,
  signal: null,
  reason: null,
  startedAt: null,
  finishedAt: null,
  cursor: null,
  gpus: [],
  deadlineAt: null,
  preemptedBy: null
}

const shapeOfJob: JobRecord = {
  id: '',
  tenant: '',
  name: null,
  state: 'queued',
  reason: null,
  message: null,
  spec: { task: { type: 'process', command: [''] } },
  node: null,
  attempts: [],
  placement: null,
  result: null,
  createdAt: 0,
  startedAt: null,
  finishedAt: null,
  notBefore: null,
  intent: null,
  lastSeq: 0,
  submittedBy: '',
  submittedByName: null
}

/** The ids of as many as fit into a page; of at least one. */
function firstPage(found: readonly { id: string; bytes: number }[], limit: number): string[] {
  const ids: string[] = []
  let room = mostPageBytes
  for (const { id, bytes } of found.slice(0, limit)) {
    room -= bytes
    if (room < 0 && ids.length > 0) break
    ids.push(id)
  }
  return ids
}

function* chunks<T>(items: readonly T[], size: number): Generator<T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size)
}
