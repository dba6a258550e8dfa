// Longest-prefix match over dialled characters, in typed arrays: ten octets a node. Hot: once or twice a call.

import { assert } from '#core/assert.ts'

/** 0-9 + * # */
const SYMBOLS = 13
const NONE = -1

/** Symbol of a character code, or 255. */
const SYMBOL_OF = symbolTable()
/** Number of one bits in a 13-bit mask. */
const ONES = onesTable()

function symbolTable(): Uint8Array {
  const table = new Uint8Array(128).fill(255)
  for (let digit = 0; digit < 10; digit++) table[0x30 + digit] = digit
  table[0x2b] = 10
  table[0x2a] = 11
  table[0x23] = 12
  return table
}

function onesTable(): Uint8Array {
  const table = new Uint8Array(1 << SYMBOLS)
  for (let mask = 1; mask < table.length; mask++) table[mask] = (table[mask >> 1] ?? 0) + (mask & 1)
  return table
}

/** Nodes while building: children as linked lists, grown by doubling. */
class Draft {
  symbol = new Uint8Array(1024)
  firstChild = new Int32Array(1024)
  nextSibling = new Int32Array(1024)
  value = new Int32Array(1024).fill(NONE)
  length = 1

  /** The child of `node` under `symbol`, made when it is not there. Node 0 is the root, so 0 ends a list. */
  child(node: number, symbol: number): number {
    let child = this.firstChild[node] ?? 0
    while (child !== 0) {
      if (this.symbol[child] === symbol) return child
      child = this.nextSibling[child] ?? 0
    }
    if (this.length === this.symbol.length) this.#grow()
    child = this.length++
    this.symbol[child] = symbol
    this.nextSibling[child] = this.firstChild[node] ?? 0
    this.firstChild[node] = child
    return child
  }

  #grow(): void {
    const size = this.symbol.length * 2
    const symbol = new Uint8Array(size)
    symbol.set(this.symbol)
    this.symbol = symbol
    const firstChild = new Int32Array(size)
    firstChild.set(this.firstChild)
    this.firstChild = firstChild
    const nextSibling = new Int32Array(size)
    nextSibling.set(this.nextSibling)
    this.nextSibling = nextSibling
    const value = new Int32Array(size).fill(NONE)
    value.set(this.value)
    this.value = value
  }
}

/**
 * An immutable set of prefixes over the characters 0-9 + * #. The children of a node lie side by side in the order of
 * their symbols; a mask says which are there, so a step is one bit count.
 */
export class PrefixTrie {
  readonly #mask: Uint16Array
  readonly #firstChild: Uint32Array
  readonly #value: Int32Array

  /** The value of a prefix is its index in `prefixes`; of equal ones the first counts. The empty prefix is in every text. */
  constructor(prefixes: readonly string[]) {
    const draft = new Draft()
    for (let i = 0; i < prefixes.length; i++) {
      const prefix = prefixes[i] ?? ''
      let node = 0
      for (let at = 0; at < prefix.length; at++) {
        const symbol = SYMBOL_OF[prefix.charCodeAt(at)] ?? 255
        assert(symbol < SYMBOLS, `prefix ${i} has a character that nobody dials`)
        node = draft.child(node, symbol)
      }
      if (draft.value[node] === NONE) draft.value[node] = i
    }
    this.#mask = new Uint16Array(draft.length)
    this.#firstChild = new Uint32Array(draft.length)
    this.#value = new Int32Array(draft.length)
    this.#layOut(draft)
  }

  /** Renumbers the nodes breadth first, which puts siblings side by side. */
  #layOut(draft: Draft): void {
    const draftOf = new Int32Array(draft.length)
    const children = new Int32Array(SYMBOLS)
    let next = 1
    for (let node = 0; node < draft.length; node++) {
      const from = draftOf[node] ?? 0
      this.#value[node] = draft.value[from] ?? NONE
      this.#firstChild[node] = next
      children.fill(0)
      let mask = 0
      for (let child = draft.firstChild[from] ?? 0; child !== 0; child = draft.nextSibling[child] ?? 0) {
        const symbol = draft.symbol[child] ?? 0
        children[symbol] = child
        mask |= 1 << symbol
      }
      this.#mask[node] = mask
      for (let symbol = 0; symbol < SYMBOLS; symbol++) {
        const child = children[symbol] ?? 0
        if (child !== 0) draftOf[next++] = child
      }
    }
  }

  /** Nodes of the trie; each takes ten octets. */
  get nodes(): number {
    return this.#value.length
  }

  /** The index of the longest prefix of `text`, or -1. A character that nobody dials ends the match. */
  longest(text: string): number {
    const mask = this.#mask
    const firstChild = this.#firstChild
    const value = this.#value
    let node = 0
    let best = value[0] ?? NONE
    for (let at = 0; at < text.length; at++) {
      const symbol = SYMBOL_OF[text.charCodeAt(at)] ?? 255
      const here = mask[node] ?? 0
      if (symbol >= SYMBOLS || (here & (1 << symbol)) === 0) break
      node = (firstChild[node] ?? 0) + (ONES[here & ((1 << symbol) - 1)] ?? 0)
      const found = value[node] ?? NONE
      if (found !== NONE) best = found
    }
    return best
  }

  /** The indexes of all prefixes of `text`, the shortest first. */
  matches(text: string): number[] {
    const found: number[] = []
    for (let end = 0; end <= text.length; end++) {
      const index = this.longest(text.slice(0, end))
      if (index !== NONE && index !== found[found.length - 1]) found.push(index)
    }
    return found
  }
}
