// Texts that outlive the message they were cut from.

/** Shorter slices are copies already (V8). */
const SLICE_LENGTH_MIN = 13

/**
 * A copy of `text` with memory of its own. A slice of 13 characters or more holds on to the whole text that it was cut
 * from (V8), so what is kept for minutes (a Call-ID, a tag, a contact) is copied out of its message first.
 */
export function copyString(text: string): string {
  if (text.length < SLICE_LENGTH_MIN) return text
  const copy = Buffer.from(text, 'latin1').toString('latin1')
  // Beyond latin1: joining makes a new text, and what the slice holds on to is the join alone.
  return copy === text ? copy : ` ${text}`.slice(1)
}
