// Lines of attributes that are added, removed or replaced on demand, for a session and for its media by kind (RFC 8866 §5.13).

import type { MediaDescription, SessionDescription } from '#sdp/session-description.ts'

/** Lines without their `a=`, as they stand: `sendrecv`, `rtpmap:8 PCMA/8000`. */
export interface AttributeChanges {
  readonly add: readonly string[]
  /** A whole line, or the name of an attribute for all of its lines. */
  readonly remove: readonly string[]
  readonly substitute: readonly (readonly [string, string])[]
}

/** What is changed where. */
export interface AttributeChangesByScope {
  readonly global?: AttributeChanges
  readonly audio?: AttributeChanges
  readonly video?: AttributeChanges
}

/** Lines of one list that count. */
const CHANGES_MAX = 64

/** The description with the changes; media that are rejected stay as they are. */
export function withAttributeChanges(
  description: SessionDescription,
  changes: AttributeChangesByScope,
): SessionDescription {
  const { global, audio, video } = changes
  if (global === undefined && audio === undefined && video === undefined) return description
  const byKind: Readonly<Record<string, AttributeChanges | undefined>> = { audio, video }
  const media = description.media.map((section): MediaDescription => {
    const wanted = Object.hasOwn(byKind, section.kind) ? byKind[section.kind] : undefined
    return wanted === undefined || section.port === 0
      ? section
      : { ...section, lines: changedLines(section.lines, wanted) }
  })
  const lines = global === undefined ? description.lines : changedLines(description.lines, global)
  return { ...description, lines, media }
}

function changedLines(lines: readonly string[], changes: AttributeChanges): string[] {
  const remove = changes.remove.slice(0, CHANGES_MAX).filter(isPlain)
  const substitute = changes.substitute.slice(0, CHANGES_MAX).filter(([from, to]) => isPlain(from) && isPlain(to))
  const result: string[] = []
  for (const line of lines) {
    const text = line.startsWith('a=') ? line.slice(2) : null
    const name = text?.split(':', 1)[0]
    if (text === null) result.push(line)
    else if (!remove.includes(text) && !(name !== undefined && remove.includes(name))) {
      const other = substitute.find(([from]) => from === text)
      result.push(other === undefined ? line : `a=${other[1]}`)
    }
  }
  for (const text of changes.add.slice(0, CHANGES_MAX)) {
    if (isPlain(text) && !result.includes(`a=${text}`)) result.push(`a=${text}`)
  }
  return result
}

/** A line cannot hold another. */
function isPlain(text: string): boolean {
  return text !== '' && !/[\r\n\0]/.test(text)
}
