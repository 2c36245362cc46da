import { unrestricted } from '../../src/domain/policy.ts'
import type { Policies } from './policies.ts'

/** Without a file nothing is restricted, and asking costs nothing. */
export const noPolicies: Policies = {
  rulesFor: () => unrestricted,
  onChange: () => () => {},
  status: () => ({ file: null, hash: null, loadedAt: null, error: null, policies: [] }),
  async reload() {},
  async open() {},
  close() {}
}
