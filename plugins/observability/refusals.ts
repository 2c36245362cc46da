import type { Metrics, Observability } from '../../src/contracts/observability.ts'

const aboutIdentity = new Set(['unauthorized', 'forbidden', 'misdirected-request'])

/** Counts problems by code, and those about who asks also by what exactly was wrong. */
export function createRefusals({ counter }: Metrics): Observability['refused'] {
  const problems = counter({
    name: 'roost_problems_total',
    help: 'Requests answered with a problem, by its code.',
    labels: ['code']
  })
  const authFailures = counter({
    name: 'roost_auth_failures_total',
    help: 'Requests refused for who asked or from where, by what was wrong.',
    labels: ['kind']
  })
  return ({ code, kind }) => {
    problems.add(1, { code })
    if (aboutIdentity.has(code)) authFailures.add(1, { kind: kind ?? code })
  }
}
