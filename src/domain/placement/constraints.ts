import type { Constraint } from '../../schemas/job.ts'

/*
 * Constraints on labels of a node, with the meaning of Kubernetes' node affinity: NotIn and DoesNotExist hold where the
 * label is not set; Gt and Lt compare integers and never hold where either side is none. Integers are those that a
 * double holds exactly (Kubernetes: 64 bits).
 */

export type Labels = Readonly<Record<string, string>>

/** Whether labels meet the constraint; it is read once and then asked for every node. An ill-formed one never holds. */
export function compileConstraint({ key, operator, values = [] }: Constraint): (labels: Labels) => boolean {
  switch (operator) {
    case 'In':
      return (labels) => Object.hasOwn(labels, key) && values.includes(labels[key]!)
    case 'NotIn':
      return (labels) => !Object.hasOwn(labels, key) || !values.includes(labels[key]!)
    case 'Exists':
      return (labels) => Object.hasOwn(labels, key)
    case 'DoesNotExist':
      return (labels) => !Object.hasOwn(labels, key)
    case 'Gt':
    case 'Lt': {
      const bound = values.length === 1 ? parseInteger(values[0]!) : null
      if (bound === null) return () => false
      const sign = operator === 'Gt' ? 1 : -1
      return (labels) => {
        const value = Object.hasOwn(labels, key) ? parseInteger(labels[key]!) : null
        return value !== null && (value - bound) * sign > 0
      }
    }
  }
}

/** What a node must show, and what it does: `label arch must be one of amd64 and is arm64`. */
export function describeMismatch({ key, operator, values = [] }: Constraint, labels: Labels): string {
  const wish = {
    In: `be one of ${values.join(', ')}`,
    NotIn: `not be one of ${values.join(', ')}`,
    Exists: 'be set',
    DoesNotExist: 'not be set',
    Gt: `be an integer above ${values.join(', ')}`,
    Lt: `be an integer below ${values.join(', ')}`
  }[operator]
  return `label ${key} must ${wish} and is ${Object.hasOwn(labels, key) ? `"${labels[key]!}"` : 'not set'}`
}

/** What is wrong with a constraint beyond its schema: an operator and values that do not go together. */
export function validateConstraint({
  operator,
  values = []
}: Constraint): { pointer: string; message: string }[] {
  const message = {
    In: () => (values.length === 0 ? 'In needs at least one value' : null),
    NotIn: () => (values.length === 0 ? 'NotIn needs at least one value' : null),
    Exists: () => (values.length > 0 ? 'Exists takes no values' : null),
    DoesNotExist: () => (values.length > 0 ? 'DoesNotExist takes no values' : null),
    Gt: () => (isOneInteger(values) ? null : 'Gt needs exactly one value, an integer within ±(2^53 - 1)'),
    Lt: () => (isOneInteger(values) ? null : 'Lt needs exactly one value, an integer within ±(2^53 - 1)')
  }[operator]()
  return message === null ? [] : [{ pointer: '/values', message }]
}

const isOneInteger = (values: readonly string[]): boolean =>
  values.length === 1 && parseInteger(values[0]!) !== null

function parseInteger(text: string): number | null {
  const value = /^[+-]?[0-9]+$/.test(text) ? Number(text) : NaN
  return Number.isSafeInteger(value) ? value : null
}
