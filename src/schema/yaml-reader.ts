// Reads a YAML document against a TypeBox schema in one walk: fills in defaults and reports every problem where it stands.

import {
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  type Node,
  parseDocument,
  visit,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml'
import type { ConfigProblem, ConfigProblemCode } from '#schema/config-problem.ts'
import { nearest } from '#schema/nearest.ts'
import { textFormat } from '#schema/text-formats.ts'
import { cutRows, restoreRows } from '#schema/yaml-rows.ts'

/** Longest text that is read, in UTF-16 code units: about 400,000 routes. */
export const TEXT_LENGTH_MAX = 32 * 1024 * 1024
/** Values that aliases may add up to: an "alias bomb" ends here. */
const ALIASED_VALUES_MAX = 100_000
const PROBLEMS_MAX = 1000
/** What is shown of a wrong value. */
const SHOWN_LENGTH_MAX = 60
/** What to look for, where the library's own words help only those who know the grammar of YAML. */
const SYNTAX_HINTS: Readonly<Record<string, string>> = {
  BAD_INDENT:
    '; look for a { or [ that is not closed before this place, or a line that is not indented as its neighbours',
  MISSING_CHAR: '; look for a quote or bracket that is not closed before this place',
  TAB_AS_INDENT: '; use spaces',
}

/** The part of JSON Schema that our TypeBox declarations use. */
export interface SchemaNode {
  readonly type?: string
  readonly description?: string
  readonly default?: unknown
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly items?: SchemaNode
  readonly anyOf?: readonly SchemaNode[]
  readonly enum?: readonly string[]
  readonly const?: unknown
  readonly format?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly writeOnly?: boolean
}

export type Path = readonly (string | number)[]

type YamlNode = Node | null | undefined

/** One reading of one text. Wrong values are `undefined` in the result, each with its problem. */
export class YamlReader {
  readonly problems: ConfigProblem[] = []
  readonly #file: string
  readonly #text: string
  /** Offsets at which lines begin; found when the first problem needs them. */
  #lineStarts: number[] = []
  readonly #document: Document.Parsed | null
  readonly #path: (string | number)[] = []
  #aliasTargets: Map<Node, Node> | null = null
  #aliasDepth = 0
  #aliasedValues = 0
  #problemsDropped = false

  constructor(text: string, file: string) {
    this.#file = file
    this.#text = text
    this.#document = this.#parse(text)
  }

  /** Whether the text is YAML at all; nothing else can be said of one that is not. */
  get readable(): boolean {
    return this.#document !== null
  }

  /** The document's value as `schema` wants it, defaults filled in. */
  read(schema: SchemaNode): unknown {
    return this.#document === null ? undefined : this.#value(schema, this.#document.contents)
  }

  /** Reports a problem at the value that `path` leads to, or at its key. */
  report(path: Path, code: ConfigProblemCode, message: string, at: 'value' | 'key' = 'value'): void {
    const [keyNode, valueNode] = this.#locate(path)
    this.#add(at === 'key' ? (keyNode ?? valueNode) : (valueNode ?? keyNode), code, message)
  }

  #parse(text: string): Document.Parsed | null {
    if (text.length > TEXT_LENGTH_MAX) {
      this.#addAt(0, 'CONFIG_TOO_LARGE', `the file is longer than ${TEXT_LENGTH_MAX} characters`)
      return null
    }
    const cut = cutRows(text)
    if (cut !== null) {
      const document = parseYaml(cut.text)
      if (document !== null && document.errors.length === 0 && document.warnings.length === 0) {
        if (restoreRows(document, cut)) return document
      }
    }
    const document = parseYaml(text)
    if (document === null) {
      this.#addAt(0, 'CONFIG_TOO_LARGE', 'the file cannot be read as YAML: it is nested too deeply')
      return null
    }
    for (const problem of [...document.errors, ...document.warnings]) {
      this.#addAt(
        problem.pos[0],
        'CONFIG_SYNTAX',
        `not valid YAML: ${problem.message}${SYNTAX_HINTS[problem.code] ?? ''}`,
      )
    }
    return this.problems.length === 0 ? document : null
  }

  #value(schema: SchemaNode, node: YamlNode): unknown {
    if (!isAlias(node)) {
      if (this.#aliasDepth > 0) {
        this.#aliasedValues += 1 + (isMap(node) || isSeq(node) ? node.items.length : 0)
        if (this.#aliasedValues > ALIASED_VALUES_MAX) return undefined
      }
      return this.#plainValue(schema, node)
    }
    const target = this.#aliasTarget(node)
    if (target === null) {
      this.#add(node, 'CONFIG_SYNTAX', `there is no anchor &${node.source} before this alias`)
      return undefined
    }
    this.#aliasDepth++
    const value = this.#value(schema, target)
    this.#aliasDepth--
    if (this.#aliasedValues > ALIASED_VALUES_MAX && this.#aliasDepth === 0) {
      this.#add(node, 'CONFIG_TOO_LARGE', `aliases stand for more than ${ALIASED_VALUES_MAX} values`)
    }
    return value
  }

  #plainValue(schema: SchemaNode, node: YamlNode): unknown {
    if (schema.anyOf !== undefined) return this.#oneOf(schema, schema.anyOf, node)
    if (schema.enum !== undefined) return this.#word(schema, schema.enum, node)
    switch (schema.type) {
      case 'object':
        return this.#object(schema, node)
      case 'array':
        return this.#list(schema, node)
      case 'string':
        return this.#plainText(schema, node)
      case 'integer':
        return this.#integer(schema, node)
      case 'boolean':
        return this.#boolean(schema, node)
      default:
        return undefined
    }
  }

  /** A union is a value or null, or a list or one word: the node's own kind decides which branch is meant. */
  #oneOf(schema: SchemaNode, branches: readonly SchemaNode[], node: YamlNode): unknown {
    const scalar = isScalar(node) ? node.value : node === null || node === undefined ? null : undefined
    for (const branch of branches) {
      if (branch.type === 'null' && scalar === null) return null
      if (branch.const !== undefined && branch.const === scalar) return scalar
      if (branch.type === 'array' && isSeq(node)) return this.#list(branch, node)
    }
    const main = branches[0]
    const words = branches.flatMap((branch) => (branch.const === undefined ? [] : [String(branch.const)]))
    if (main === undefined || words.length > 0) {
      return this.#wrong(schema, node, 'CONFIG_TYPE', `expected a list or ${words.join(' or ')}`)
    }
    return this.#plainValue(main, node)
  }

  #object(schema: SchemaNode, node: YamlNode): unknown {
    const properties = schema.properties ?? {}
    if (!isMap(node)) {
      // "sip:" with nothing behind it is an empty section.
      const empty = node === null || node === undefined || (isScalar(node) && node.value === null)
      if (!empty) return this.#wrong(schema, node, 'CONFIG_TYPE', 'expected a mapping (key: value)')
      return this.#filled({}, properties, node ?? null)
    }
    const value: Record<string, unknown> = {}
    for (const pair of node.items) {
      const keyNode = pair.key as YamlNode
      const key = isScalar(keyNode) ? String(keyNode.value) : ''
      const property = Object.hasOwn(properties, key) ? properties[key] : undefined
      if (property === undefined) {
        this.#unknownKey(keyNode ?? node, key, Object.keys(properties))
      } else if (Object.hasOwn(value, key)) {
        this.#add(keyNode, 'CONFIG_DUPLICATE_KEY', `${this.#place(key)}: this key stands here twice`)
      } else {
        this.#path.push(key)
        value[key] = this.#value(property, pair.value as YamlNode)
        this.#path.pop()
      }
    }
    return this.#filled(value, properties, node)
  }

  #filled(value: Record<string, unknown>, properties: Readonly<Record<string, SchemaNode>>, node: YamlNode): unknown {
    for (const key in properties) {
      const property = properties[key]
      if (property === undefined || Object.hasOwn(value, key)) continue
      if (property.default === undefined) {
        this.#add(node, 'CONFIG_MISSING_KEY', `${this.#place(key)} is missing: ${property.description ?? ''}`)
      }
      value[key] = defaultOf(property)
    }
    return value
  }

  #unknownKey(node: YamlNode, key: string, known: readonly string[]): void {
    const near = nearest(key, known)
    const hint = near === null ? `expected one of ${known.join(', ')}` : `did you mean "${near}"?`
    this.#add(node, 'CONFIG_UNKNOWN_KEY', `${this.#place(shown(key))}: unknown key; ${hint}`)
  }

  #list(schema: SchemaNode, node: YamlNode): unknown {
    if (!isSeq(node)) {
      const absent = node === null || node === undefined || (isScalar(node) && node.value === null)
      if (absent && schema.default !== undefined) return defaultOf(schema)
      return this.#wrong(schema, node, 'CONFIG_TYPE', 'expected a list')
    }
    const length = node.items.length
    if (length < (schema.minItems ?? 0)) {
      return this.#wrong(schema, node, 'CONFIG_RANGE', `expected at least ${schema.minItems} in the list`)
    }
    if (length > (schema.maxItems ?? Number.POSITIVE_INFINITY)) {
      return this.#wrong(
        schema,
        node,
        'CONFIG_TOO_LARGE',
        `expected at most ${schema.maxItems} in the list, found ${length}`,
      )
    }
    const items = schema.items ?? {}
    const values: unknown[] = []
    for (let i = 0; i < length; i++) {
      this.#path.push(i)
      values.push(this.#value(items, node.items[i] as YamlNode))
      this.#path.pop()
    }
    return values
  }

  #plainText(schema: SchemaNode, node: YamlNode): unknown {
    const format = schema.format === undefined ? null : textFormat(schema.format)
    const expected = format === null ? 'text' : format.expected
    if (!isScalar(node) || typeof node.value !== 'string') {
      if (isScalar(node) && (typeof node.value === 'number' || typeof node.value === 'boolean')) {
        // An unquoted 0100 or +44 is a number to YAML, and the zero or the plus is lost.
        const quoted = schema.writeOnly === true ? '' : `: "${shown(node.source ?? String(node.value))}"`
        return this.#wrong(schema, null, 'CONFIG_TYPE', `expected text; put it in quotes${quoted}`, node)
      }
      return this.#wrong(schema, node, 'CONFIG_TYPE', `expected ${expected}`)
    }
    const value = node.value
    if (value.length < (schema.minLength ?? 0)) {
      return this.#wrong(schema, node, 'CONFIG_RANGE', `expected ${expected}`)
    }
    if (value.length > (schema.maxLength ?? Number.POSITIVE_INFINITY)) {
      return this.#wrong(schema, node, 'CONFIG_RANGE', `expected at most ${schema.maxLength} characters`)
    }
    if (format !== null && !format.accepts(value)) {
      return this.#wrong(schema, node, 'CONFIG_FORMAT', `expected ${expected}`)
    }
    return value
  }

  #word(schema: SchemaNode, words: readonly string[], node: YamlNode): unknown {
    if (isScalar(node) && typeof node.value === 'string' && words.includes(node.value)) return node.value
    const near = isScalar(node) && typeof node.value === 'string' ? nearest(node.value, words) : null
    const hint = near === null ? '' : `; did you mean ${near}?`
    return this.#wrong(schema, node, 'CONFIG_FORMAT', `expected ${words.join(', ')}`, node, hint)
  }

  #integer(schema: SchemaNode, node: YamlNode): unknown {
    const minimum = schema.minimum ?? 0
    const maximum = schema.maximum ?? Number.MAX_SAFE_INTEGER
    const expected = `expected a whole number from ${minimum} to ${maximum}`
    if (!isScalar(node) || typeof node.value !== 'number' || !Number.isInteger(node.value)) {
      return this.#wrong(schema, node, 'CONFIG_TYPE', expected)
    }
    if (node.value < minimum || node.value > maximum) return this.#wrong(schema, node, 'CONFIG_RANGE', expected)
    return node.value
  }

  #boolean(schema: SchemaNode, node: YamlNode): unknown {
    if (isScalar(node) && typeof node.value === 'boolean') return node.value
    return this.#wrong(schema, node, 'CONFIG_TYPE', 'expected true or false')
  }

  /** Reports a wrong value with what was found in its place; gives the `undefined` that stands for it. */
  #wrong(
    schema: SchemaNode,
    found: YamlNode,
    code: ConfigProblemCode,
    expected: string,
    at = found,
    hint = '',
  ): undefined {
    const secret = schema.writeOnly === true
    const seen = found === null || found === undefined || secret ? '' : `, found ${nodeText(found)}`
    this.#add(at, code, `${this.#place(null)}: ${expected}${seen}${hint}`)
    return undefined
  }

  /** "sip.listen[0]", for messages. */
  #place(key: string | null): string {
    const path = key === null ? this.#path : [...this.#path, key]
    return placeText(path)
  }

  #add(node: YamlNode, code: ConfigProblemCode, message: string): void {
    this.#addAt(node?.range?.[0] ?? 0, code, message)
  }

  #addAt(offset: number, code: ConfigProblemCode, message: string): void {
    if (this.problems.length >= PROBLEMS_MAX) {
      if (this.#problemsDropped) return
      this.#problemsDropped = true
      message = `there are more than ${PROBLEMS_MAX} problems; the others are not listed`
      code = 'CONFIG_TOO_LARGE'
    }
    const line = this.#lineOf(offset)
    const column = offset - (this.#lineStarts[line - 1] ?? 0) + 1
    this.problems.push({ file: this.#file, line, column, code, message })
  }

  /** The line, from 1, that holds the character at `offset`. */
  #lineOf(offset: number): number {
    const starts = this.#lineStarts
    if (starts.length === 0) {
      starts.push(0)
      for (let at = this.#text.indexOf('\n'); at !== -1; at = this.#text.indexOf('\n', at + 1)) starts.push(at + 1)
    }
    let low = 0
    let high = starts.length
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if ((starts[middle] ?? 0) <= offset) low = middle
      else high = middle
    }
    return low + 1
  }

  /** The nodes of the last key and of the value at the end of `path`, as far as they are there. */
  #locate(path: Path): [YamlNode, YamlNode] {
    let keyNode: YamlNode = null
    let node: YamlNode = this.#document?.contents
    for (const step of path) {
      if (isAlias(node)) node = this.#aliasTarget(node)
      let next: YamlNode = null
      if (typeof step === 'number' && isSeq(node)) {
        next = (node as YAMLSeq).items[step] as YamlNode
      } else if (isMap(node)) {
        const pair = (node as YAMLMap).items.find((item) => isScalar(item.key) && item.key.value === step)
        if (pair === undefined) return [keyNode, node]
        keyNode = pair.key as YamlNode
        next = pair.value as YamlNode
      }
      if (next === null || next === undefined) return [keyNode, node ?? null]
      node = next
    }
    return [keyNode, node]
  }

  /** What an alias stands for: the last anchor of its name before it (YAML 1.2 §7.1). Found for all at the first one asked. */
  #aliasTarget(alias: Node): Node | null {
    if (this.#aliasTargets === null) {
      const targets = new Map<Node, Node>()
      const anchors = new Map<string, Node>()
      const collect = (node: Node): void => {
        if (isAlias(node)) {
          const target = anchors.get(node.source)
          if (target !== undefined) targets.set(node, target)
        } else if ('anchor' in node && typeof node.anchor === 'string') {
          anchors.set(node.anchor, node)
        }
      }
      if (this.#document !== null) {
        visit(this.#document, {
          Node: (_, node) => collect(node as Node),
        })
      }
      this.#aliasTargets = targets
    }
    return this.#aliasTargets.get(alias) ?? null
  }
}

/** The document, or null when the library gives up: it descends by recursion, and a million brackets exhaust the stack. */
function parseYaml(text: string): Document.Parsed | null {
  try {
    // Duplicate keys are found in the walk: the library compares each key with each other one.
    return parseDocument(text, { prettyErrors: false, uniqueKeys: false })
  } catch {
    return null
  }
}

/** "subscribers[3].number". */
export function placeText(path: Path): string {
  let text = ''
  for (const step of path) text += typeof step === 'number' ? `[${step}]` : text === '' ? step : `.${step}`
  return text === '' ? 'the file' : text
}

/** The default of a property, a fresh copy each time; sections are filled from their own properties. */
function defaultOf(schema: SchemaNode): unknown {
  if (schema.type !== 'object' || schema.default === undefined) return structuredClone(schema.default)
  const value: Record<string, unknown> = {}
  for (const [key, property] of Object.entries(schema.properties ?? {})) value[key] = defaultOf(property)
  return value
}

function nodeText(node: Node): string {
  if (isMap(node)) return 'a mapping'
  if (isSeq(node)) return 'a list'
  if (isPair(node)) return 'a key'
  if (!isScalar(node)) return 'an alias'
  if (node.value === null) return 'nothing'
  return typeof node.value === 'string' ? `"${shown(node.value)}"` : shown(node.source ?? String(node.value))
}

function shown(text: string): string {
  return text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text
}
