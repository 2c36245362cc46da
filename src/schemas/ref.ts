import { Type, type Static, type TSchema, type TUnsafe } from '@sinclair/typebox'

/** A `$ref` to a shared schema that keeps its static type and its name in the OpenAPI document. */
export const ref = <T extends TSchema>(schema: T): TUnsafe<Static<T>> =>
  Type.Unsafe<Static<T>>({ $ref: `${schema.$id}#` })

/** A string enum, as OpenAPI and Ajv like it best: one `enum`, not an `anyOf` of constants. */
export const stringEnum = <const T extends readonly string[]>(values: T, options: object = {}) =>
  Type.Unsafe<T[number]>({ type: 'string', enum: values, ...options })

/** A map from names that match the pattern. Ajv's `patternProperties` would be lost in the OpenAPI document. */
export const map = <T extends TSchema>(names: string, value: T, options: object = {}) =>
  Type.Unsafe<Record<string, Static<T>>>({
    type: 'object',
    propertyNames: { type: 'string', pattern: names },
    additionalProperties: value,
    ...options
  })

/** `T` or null. */
export const nullable = <T extends TSchema>(schema: T, options: object = {}) =>
  Type.Union([schema, Type.Null()], options)
