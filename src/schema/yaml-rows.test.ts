import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isMap, isScalar, isSeq, parseDocument } from 'yaml'
import { cutRows, restoreRows } from '#schema/yaml-rows.ts'

/** Values, kinds and places of a node and all in it. */
function dump(node: unknown): unknown {
  if (isMap(node)) return { at: node.range?.[0], map: node.items.map((pair) => [dump(pair.key), dump(pair.value)]) }
  if (isSeq(node)) return { at: node.range?.[0], list: node.items.map(dump) }
  if (isScalar(node)) return { at: node.range?.[0], value: node.value }
  return node
}

/** What is read with the rows taken out first; null when they are not, or must not be. */
function read(text: string): unknown {
  const cut = cutRows(text)
  if (cut === null) return null
  assert.equal(cut.text.length, text.length)
  const document = parseDocument(cut.text, { prettyErrors: false, uniqueKeys: false })
  if (document.errors.length > 0 || document.warnings.length > 0 || !restoreRows(document, cut)) return null
  return dump(document.contents)
}

function library(text: string): unknown {
  const document = parseDocument(text, { prettyErrors: false, uniqueKeys: false })
  return document.errors.length > 0 ? 'broken' : dump(document.contents)
}

const scalars = fc.oneof(
  fc.constantFrom(
    'east',
    'a.b-c_d',
    'true',
    'Null',
    '~',
    '0',
    '480',
    '007',
    '1.5',
    '-1',
    '0x1f',
    '+44',
    '1e3',
    'a b',
    'a:b',
    'a#b',
    '*x',
    '&x y',
  ),
  fc.constantFrom(
    '"+44"',
    '""',
    "''",
    "'it''s'",
    '"a\\n"',
    '"a\\""',
    '"{"',
    '"a, b: c"',
    "' x '",
    '"ünï"',
    '"# no"',
    '[]',
    '{}',
    'a,b',
    '"a"b',
  ),
  fc.string({ unit: fc.constantFrom(...'ab1"\'\\,:{}[]# \t'), maxLength: 6 }),
)
const values = fc.oneof(
  scalars,
  fc.array(scalars, { maxLength: 3 }).map((items) => `[${items.join(', ')}]`),
)
const keys = fc.oneof(
  fc.constantFrom('prefix', 'trunkGroups', 'a', 'true', 'null', '"q"', '? a', '1'),
  fc.constant('name'),
)
const gaps = fc.constantFrom(': ', ': ', ': ', ':  ', ':')
const commas = fc.constantFrom(', ', ', ', ', ', ',', ' , ', ',  ')
const rows = fc
  .tuple(
    fc.array(fc.tuple(keys, gaps, values), { minLength: 0, maxLength: 3 }),
    commas,
    fc.constantFrom('', '', '', ' ', ' # why', ' x', '\r', ', '),
  )
  .map(([pairs, comma, end]) => `{${pairs.map((pair) => pair.join('')).join(comma)}}${end}`)
const plainRows = fc.constantFrom(
  '{prefix: "+44", trunkGroups: [east, west]}',
  '{user: \'1001\', password: "x y", n: 480}',
  '{a: b}',
)
const lines = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.constantFrom('', '  ', '  ', '    '), fc.oneof(plainRows, rows))
      .map(([indent, row]) => `${indent}- ${row}`),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      'routes:',
      'other:',
      'text: |',
      'text: >',
      'text: "',
      '"',
      "text: '",
      "'",
      '  - a: b',
      '    c: d',
      '',
      '  # {',
      '  -',
      '  - [',
      '  ]',
      '    more',
      'list: [',
      ']',
      '  - - x',
      '---',
      '...',
      '- &x',
      '  - *x',
      '  : y',
      '?',
      'deep:',
      '  deeper:',
    ),
  },
)

test('what is read is what the library reads, value for value and place for place', () => {
  let taken = 0
  fc.assert(
    fc.property(fc.array(lines, { maxLength: 12 }), fc.constantFrom('\n', '\n', '\r\n'), (all, lineEnd) => {
      const text = `routes:${lineEnd}${all.join(lineEnd)}${lineEnd}`
      const found = read(text)
      if (found === null) return
      taken++
      assert.deepEqual(found, library(text), JSON.stringify(text))
    }),
    { numRuns: 4000 },
  )
  assert.ok(taken > 100, `only ${taken} texts had rows`)
})

test('rows in lists of the top level are taken', () => {
  const text =
    'routes:\n  - {prefix: "+44", trunkGroups: [east, west]}\n  - {prefix: "+49", trunkGroups: [east]}\ndomain: a.net\n'
  assert.equal(cutRows(text)?.runs.size, 1)
  assert.deepEqual(read(text), library(text))
})

test('rows in a text block, in a quoted text or deeper in the document are left to the library', () => {
  for (const text of [
    'text: |\n  - {a: b}\n  - {a: b}\n',
    'text: "\n  - {a: b}\n  "\n',
    'text: plain\n  - {a: b}\n',
    'routes:\n- {a: b}\n  more\n',
    'deep:\n  deeper:\n  - {a: b}\n',
    '- {a: b}\n',
    'routes:\n- {a: "\uE000"}\n',
    'routes:\n- \uE000\n- {a: b}\n',
  ]) {
    assert.equal(read(text), null, JSON.stringify(text))
  }
})
