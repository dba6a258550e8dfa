// The reference pages are written from the schema. After a change: WRITE_DOCS=1 node --test src/schema/reference.test.ts
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { CdrSchema } from '#schema/cdr.ts'
import { ConfigFile } from '#schema/config-schema.ts'
import { textFormat } from '#schema/text-formats.ts'
import type { SchemaNode } from '#schema/yaml-reader.ts'

const BEGIN = '<!-- written from src/schema: begin -->'
const END = '<!-- written from src/schema: end -->'
const CONFIG = ConfigFile as unknown as SchemaNode
const CDR = CdrSchema as unknown as SchemaNode

function branches(schema: SchemaNode): readonly SchemaNode[] {
  return schema.anyOf ?? [schema]
}

/** The section or resource that a property is or lists, or null. */
function inner(schema: SchemaNode): SchemaNode | null {
  for (const branch of branches(schema)) {
    if (branch.properties !== undefined) return branch
    if (branch.items?.properties !== undefined) return branch.items
  }
  return null
}

function isList(schema: SchemaNode): boolean {
  return branches(schema).some((branch) => branch.type === 'array')
}

function typeText(schema: SchemaNode): string {
  if (schema.anyOf !== undefined) {
    const types = schema.anyOf.filter((branch) => branch.type !== 'null').map(typeText)
    return types.join(', or ')
  }
  if (schema.enum !== undefined) return schema.enum.map((word) => `\`${word}\``).join(', ')
  if (schema.const !== undefined) return `\`${String(schema.const)}\``
  if (schema.properties !== undefined) return 'mapping'
  switch (schema.type) {
    case 'array':
      return `list of: ${typeText(schema.items ?? {})}${schema.maxItems === undefined ? '' : `; at most ${schema.maxItems} entries`}`
    case 'integer':
    case 'number':
      return rangeText(schema)
    case 'boolean':
      return '`true` or `false`'
    default: {
      const format = schema.format === undefined ? null : textFormat(schema.format)
      const most = schema.maxLength === undefined ? '' : `; at most ${schema.maxLength} characters`
      return `${format === null ? 'text' : format.expected}${most}`
    }
  }
}

function rangeText({ type, minimum, maximum }: SchemaNode): string {
  const kind = type === 'integer' ? 'whole number' : 'number'
  if (minimum !== undefined && maximum !== undefined) return `${kind} from ${minimum} to ${maximum}`
  return minimum === undefined ? kind : `${kind} from ${minimum}`
}

function defaultText(schema: SchemaNode): string {
  if (schema.default === undefined) return 'must be given'
  if (schema.default === null) return 'none'
  return `\`${typeof schema.default === 'string' ? schema.default : JSON.stringify(schema.default)}\``
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

/** A heading and a table for one section, then those of the sections in it. */
function sectionText(path: string, schema: SchemaNode, withDefaults: boolean): string[] {
  const head = withDefaults ? ['key', 'value', 'default', 'meaning'] : ['field', 'value', 'meaning']
  const lines = [row(head), row(head.map(() => '---'))]
  const deeper: string[] = []
  for (const [key, property] of Object.entries(schema.properties ?? {})) {
    const nested = inner(property)
    const full = path === '' ? key : `${path}.${key}`
    if (nested !== null) {
      const nestedPath = isList(property) ? `${full}[]` : full
      deeper.push(
        '',
        `## \`${nestedPath}\``,
        '',
        nested.description ?? '',
        '',
        ...sectionText(nestedPath, nested, withDefaults),
      )
      if (withDefaults) continue
    }
    const value = nested === null ? typeText(property) : isList(property) ? 'list, see below' : 'mapping, see below'
    const meaning = property.description ?? ''
    lines.push(
      row(withDefaults ? [`\`${full}\``, value, defaultText(property), meaning] : [`\`${full}\``, value, meaning]),
    )
  }
  return [...lines, ...deeper]
}

function check(page: string, expected: string): void {
  const url = new URL(`../../docs/${page}`, import.meta.url)
  const text = readFileSync(url, 'utf8')
  const begin = text.indexOf(BEGIN) + BEGIN.length
  const end = text.indexOf(END)
  assert.ok(begin >= BEGIN.length && end > begin, `docs/${page} has lost its markers`)
  if (process.env['WRITE_DOCS'] === '1')
    writeFileSync(url, `${text.slice(0, begin)}\n\n${expected}\n\n${text.slice(end)}`)
  else
    assert.equal(
      text.slice(begin, end).trim(),
      expected,
      `docs/${page} is not what src/schema says: see the first line here`,
    )
}

test('docs/configuration.md says of every key what the schema says', () => {
  check('configuration.md', sectionText('', CONFIG, true).join('\n'))
})

test('docs/cdr.md says of every field what the schema says', () => {
  check('cdr.md', sectionText('', CDR, false).join('\n'))
})

test('every key and every field has a meaning', () => {
  const walk = (path: string, schema: SchemaNode): void => {
    for (const [key, property] of Object.entries(schema.properties ?? {})) {
      assert.ok((property.description ?? '').length > 5, `${path}.${key}`)
      const nested = inner(property)
      if (nested !== null) walk(`${path}.${key}`, nested)
    }
  }
  walk('config', CONFIG)
  walk('cdr', CDR)
})
