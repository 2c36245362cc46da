import { CliError, exits } from './exit.ts'
import { answer, type ApiClient, type Job } from './session.ts'

/** As the ids of the API look; a job's name of this form cannot be used in place of its id. */
export const isId = (text: string): boolean => /^[0-9a-hjkmnp-tv-z]{26}$/.test(text)

/** The job with this id, else the newest with this name. Throws ApiError `job-not-found`. */
export async function findJob(client: ApiClient, idOrName: string): Promise<Job> {
  if (isId(idOrName)) return await answer(client.GET('/v1/jobs/{id}', { params: { path: { id: idOrName } } }))
  const found = /^[a-z0-9-]{1,63}$/.test(idOrName)
    ? (await answer(client.GET('/v1/jobs', { params: { query: { name: idOrName, limit: 1 } } }))).items[0]
    : undefined
  if (found === undefined)
    throw new CliError(
      'job-not-found',
      exits.failed,
      `No job has the id or name ${JSON.stringify(idOrName)}`,
      { remedy: 'See them with: roost ps -a' }
    )
  return found
}

/** The id that is meant. */
export const findId = async (client: ApiClient, idOrName: string): Promise<string> =>
  isId(idOrName) ? idOrName : (await findJob(client, idOrName)).id
