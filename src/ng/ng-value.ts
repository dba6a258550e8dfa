// The values that the ng protocol carries: what bencode and JSON have in common (rtpengine's ng control protocol).

/**
 * A text (latin1 carriage: one character is one octet), an integer, a list or a dictionary. Numbers that are no integers
 * come from JSON alone.
 */
export type NgValue = string | number | readonly NgValue[] | NgDictionary

/**
 * A dictionary. Those that were decoded have no prototype, so that a key such as `constructor` finds what the message
 * says or nothing.
 */
export interface NgDictionary {
  readonly [key: string]: NgValue
}
