import fc from 'fast-check'
import t from 'tap'
import { findJsonFaults } from '../../src/json.ts'

await t.test('JSON that JSON.stringify makes has no faults, whatever is in it', (t) => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => {
      const text = JSON.stringify(value)
      const nul = text.includes('\\u0000')
      return findJsonFaults(text).every(({ message }) => nul && message.includes('NUL'))
    })
  )
  t.end()
})

await t.test('a doubled key is found with its pointer, wherever it stands and however it is written', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ minLength: 1 }), { maxLength: 4 }),
      fc.string(),
      fc.boolean(),
      (path, key, escaped) => {
        const second = escaped
          ? JSON.stringify(key).replaceAll(/[a-z]/g, (c, at: number, all: string) =>
              all[at - 1] === '\\' || /\\u[0-9a-f]{0,3}$/.test(all.slice(0, at))
                ? c
                : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`
            )
          : JSON.stringify(key)
        let text = `{${JSON.stringify(key)}:1,${second}:2}`
        for (const step of [...path].reverse())
          text = `{"sibling\\"":[1,{"a":2}],${JSON.stringify(step + '!')}:${text}}`
        JSON.parse(text)
        return findJsonFaults(text).some(({ message }) => message.includes('twice'))
      }
    )
  )
  t.same(
    findJsonFaults('{"a":[{"b/c":1,"b/c":2}]}').map(({ pointer }) => pointer),
    ['/a/0/b~1c']
  )
  t.end()
})

await t.test('the same key in two objects is no fault', (t) => {
  t.same(findJsonFaults('{"a":{"k":1},"b":{"k":1},"c":[{"k":1},{"k":2}]}'), [])
  t.end()
})
