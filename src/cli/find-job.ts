import { CliError, exits } from './exit.ts'
import { answer, type ApiClient, type Job, type JobSpec } from './session.ts'

/** As the ids of the API look; a job's name of this form cannot be used in place of its id. */
export const isId = (text: string): boolean => /^[0-9a-hjkmnp-tv-z]{26}$/.test(text)

/** The job with this id, else the newest with this name. Throws ApiError `job-not-found`. */
export async function findJob(client: ApiClient, idOrName: string): Promise<Job> {
  const found = await findJobOrNull(client, idOrName)
  if (found === null)
    throw new CliError(
      'job-not-found',
      exits.failed,
      `No job has the id or name ${JSON.stringify(idOrName)}`,
      { remedy: 'See them with: roost ps -a' }
    )
  return found
}

/** The same; null where no job has that name. An id that is unknown is still thrown. */
export async function findJobOrNull(client: ApiClient, idOrName: string): Promise<Job | null> {
  if (isId(idOrName)) return await answer(client.GET('/v1/jobs/{id}', { params: { path: { id: idOrName } } }))
  if (!/^[a-z0-9-]{1,63}$/.test(idOrName)) return null
  const list = await answer(client.GET('/v1/jobs', { params: { query: { name: idOrName, limit: 1 } } }))
  return list.items[0] ?? null
}

/** The job with the ids of what it depends on, where names stand for them. */
export async function withDependencies(client: ApiClient, spec: JobSpec): Promise<JobSpec> {
  const { dependsOn } = spec
  return dependsOn === undefined
    ? spec
    : { ...spec, dependsOn: await Promise.all(dependsOn.map((job) => findId(client, job))) }
}

/** The id that is meant. */
export const findId = async (client: ApiClient, idOrName: string): Promise<string> =>
  isId(idOrName) ? idOrName : (await findJob(client, idOrName)).id
