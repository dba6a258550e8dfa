// Reading and replacing the attributes (a=) among the lines of a description or of a media description: RFC 8866 §5.13.

/** Grammar order of the lines of a section (RFC 8866 §9); what is unknown goes with the attributes. */
const ORDER = 'iuepcbtrzka'

/** The value of the first attribute of that name; '' for a property attribute, null when absent. Names are case-sensitive (§5.13). */
export function attributeOf(lines: readonly string[], name: string): string | null {
  for (const line of lines) {
    const value = valueIn(line, name)
    if (value !== null) return value
  }
  return null
}

/** The values of all attributes of that name, in order. */
export function attributesOf(lines: readonly string[], name: string): string[] {
  const values: string[] = []
  for (const line of lines) {
    const value = valueIn(line, name)
    if (value !== null) values.push(value)
  }
  return values
}

export function hasAttribute(lines: readonly string[], name: string): boolean {
  return attributeOf(lines, name) !== null
}

/** The name of the attribute on a line, or null when it is none. */
export function attributeName(line: string): string | null {
  if (!line.startsWith('a=')) return null
  const colon = line.indexOf(':')
  return colon < 0 ? line.slice(2) : line.slice(2, colon)
}

/** The lines without the attributes of these names. */
export function withoutAttributes(lines: readonly string[], names: ReadonlySet<string>): string[] {
  return lines.filter((line) => {
    const name = attributeName(line)
    return name === null || !names.has(name)
  })
}

/** The lines with `replacement` (whole lines) where the first attribute of these names stood, or at the end; the others go. */
export function withAttributes(
  lines: readonly string[],
  names: ReadonlySet<string>,
  replacement: readonly string[],
): string[] {
  const result: string[] = []
  let placed = false
  for (const line of lines) {
    const name = attributeName(line)
    if (name === null || !names.has(name)) {
      result.push(line)
    } else if (!placed) {
      placed = true
      result.push(...replacement)
    }
  }
  if (!placed) result.push(...replacement)
  return result
}

/** The value of the first line of a type letter, or null: `lineOf(lines, 'c')`. */
export function lineOf(lines: readonly string[], type: string): string | null {
  const line = lines.find((candidate) => candidate.startsWith(`${type}=`))
  return line === undefined ? null : line.slice(2)
}

/** The values of all lines of a type letter. */
export function linesOf(lines: readonly string[], type: string): string[] {
  return lines.filter((line) => line.startsWith(`${type}=`)).map((line) => line.slice(2))
}

/** The lines with one line of that type, or with none when `value` is null, at its place in the grammar (RFC 8866 §9). */
export function withLine(lines: readonly string[], type: string, value: string | null): string[] {
  const at = lines.findIndex((line) => line.startsWith(`${type}=`))
  const others = lines.filter((line) => !line.startsWith(`${type}=`))
  if (value === null) return others
  const line = `${type}=${value}`
  const rank = ORDER.indexOf(type)
  const after = others.findIndex((other) => rankOf(other) > rank)
  others.splice(at >= 0 ? at : after < 0 ? others.length : after, 0, line)
  return others
}

function rankOf(line: string): number {
  const rank = ORDER.indexOf(line[0] ?? 'a')
  return rank < 0 ? ORDER.length : rank
}

function valueIn(line: string, name: string): string | null {
  if (!line.startsWith('a=') || !line.startsWith(name, 2)) return null
  const end = 2 + name.length
  if (line.length === end) return ''
  return line[end] === ':' ? line.slice(end + 1) : null
}
