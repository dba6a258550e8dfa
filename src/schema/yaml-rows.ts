// Reads long lists of one-line mappings (`- {prefix: "+44", trunkGroups: [east]}`) ahead of the YAML library, which needs ten
// times as long for them: 20,000 routes are the rule, and a reload must not hold up calls. Only the plainest rows are taken;
// whatever is doubtful is left to the library, so nothing is read differently (tested against it).

import { type Document, isMap, isScalar, isSeq, type Node, Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml'

/** Stands in the text for a run of rows. A text that holds it itself is left to the library. */
const MARK = '\uE000'

const KEY = /([A-Za-z][A-Za-z0-9]{0,63}): +/y
const VALUE = /"([^"\\\n\r\t]*)"|'([^'\n\r\t]*)'|(0|[1-9][0-9]{0,14})(?=[ ,\]}])|([A-Za-z][A-Za-z0-9._-]*)/y
const SEPARATOR = /, +|[\]}]/y
/** Plain words that YAML 1.2 takes for something else than text (§10.3.2), in any case to be on the safe side. */
const NO_TEXT = /^(true|false|null)$/i

const SPACE = 0x20
const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d

/** A text with its runs of rows taken out. Each offset in it means the same as in the original. */
export interface CutRows {
  readonly text: string
  /** The rows of each run by the offset of its first "{". */
  readonly runs: ReadonlyMap<number, readonly YAMLMap[]>
}

/** Takes out every run of rows of equal indentation; null when there is none. */
export function cutRows(text: string): CutRows | null {
  if (text.includes(MARK)) return null
  const runs = new Map<number, readonly YAMLMap[]>()
  const parts: string[] = []
  const reader = new RowReader(text)
  let kept = 0
  for (let line = 0; line < text.length; ) {
    const first = reader.rowAt(line, null)
    if (first === null) {
      line = nextLine(text, line)
      continue
    }
    const begin = first.range?.[0] ?? 0
    const column = begin - line
    const rows = [first]
    let end = reader.end
    for (;;) {
      line = nextLine(text, end)
      const row = reader.rowAt(line, column)
      if (row === null) break
      rows.push(row)
      end = reader.end
    }
    runs.set(begin, rows)
    parts.push(text.slice(kept, begin), MARK, ' '.repeat(end - begin - 1))
    kept = end
  }
  if (runs.size === 0) return null
  parts.push(text.slice(kept))
  return { text: parts.join(''), runs }
}

/**
 * Puts the rows where their runs stood in the lists of the top-level mapping. False when a run did not come out as an item of
 * such a list, because it stood in a text block or a quoted text: then the document is of no use.
 */
export function restoreRows(document: Document.Parsed, { runs }: CutRows): boolean {
  let restored = 0
  if (!isMap(document.contents)) return false
  for (const { value } of document.contents.items as readonly { value: unknown }[]) {
    if (!isSeq(value)) continue
    const items: unknown[] = []
    for (const item of value.items) {
      const rows = isScalar(item) && item.value === MARK ? runs.get(item.range?.[0] ?? -1) : undefined
      if (rows === undefined) {
        items.push(item)
      } else {
        for (const row of rows) items.push(row)
        restored++
      }
    }
    value.items = items
  }
  return restored === runs.size
}

function nextLine(text: string, from: number): number {
  const at = text.indexOf('\n', from)
  return at === -1 ? text.length : at + 1
}

/** Reads one row at a time; `end` is then behind its "}". */
class RowReader {
  readonly #text: string
  end = 0

  constructor(text: string) {
    this.#text = text
  }

  /** The row on the line that begins at `line`, its "{" in `column` (null: any), or null. */
  rowAt(line: number, column: number | null): YAMLMap | null {
    const text = this.#text
    let at = line
    while (text.charCodeAt(at) === SPACE) at++
    if (!text.startsWith('- {', at) || (column !== null && at + 2 - line !== column)) return null
    const row = this.#mapping(at + 2)
    return row !== null && this.#lineEnds() ? row : null
  }

  #lineEnds(): boolean {
    const text = this.#text
    let at = this.end
    while (text.charCodeAt(at) === SPACE) at++
    if (text.charCodeAt(at) === CARRIAGE_RETURN) at++
    return at === text.length || text.charCodeAt(at) === LINE_FEED
  }

  #mapping(begin: number): YAMLMap | null {
    const text = this.#text
    const pairs: Pair<Node, Node>[] = []
    let at = begin + 1
    for (;;) {
      KEY.lastIndex = at
      const key = KEY.exec(text)?.[1]
      if (key === undefined || NO_TEXT.test(key)) return null
      const keyNode = scalar(key, at, at + key.length)
      const value = text[KEY.lastIndex] === '[' ? this.#list(KEY.lastIndex) : this.#scalar(KEY.lastIndex)
      if (value === null) return null
      pairs.push(new Pair<Node, Node>(keyNode, value))
      const separator = this.#separator()
      if (separator === '}') break
      if (separator !== ',') return null
      at = this.end
    }
    const row = new YAMLMap<Node, Node>()
    row.items = pairs
    row.flow = true
    row.range = [begin, this.end, this.end]
    return row
  }

  #list(begin: number): YAMLSeq | null {
    const items: Node[] = []
    this.end = begin + 1
    for (;;) {
      const item = this.#scalar(this.end)
      if (item === null) return null
      items.push(item)
      const separator = this.#separator()
      if (separator === ']') break
      if (separator !== ',') return null
    }
    const list = new YAMLSeq<Node>()
    list.items = items
    list.flow = true
    list.range = [begin, this.end, this.end]
    return list
  }

  #scalar(begin: number): Scalar | null {
    VALUE.lastIndex = begin
    const match = VALUE.exec(this.#text)
    if (match === null) return null
    this.end = VALUE.lastIndex
    const [source, double, single, digits, word] = match
    if (digits !== undefined) {
      const node = scalar(Number(digits), begin, this.end)
      node.source = source
      return node
    }
    if (word !== undefined && NO_TEXT.test(word)) return null
    return scalar(word ?? double ?? single ?? '', begin, this.end)
  }

  /** "," or the closing bracket that comes next, or null. */
  #separator(): string | null {
    SEPARATOR.lastIndex = this.end
    const found = SEPARATOR.exec(this.#text)
    if (found === null) return null
    this.end = SEPARATOR.lastIndex
    return found[0].charAt(0)
  }
}

function scalar(value: string | number, begin: number, end: number): Scalar {
  const node = new Scalar(value)
  node.range = [begin, end, end]
  return node
}
