// Writes the messages of a simulated world as lines, for people who look for a fault.

import { endpointText } from '#core/net.ts'
import { latin1 } from '#sim/agent-wire.ts'
import type { WireEvent, WireObserver } from '#sim/wire.ts'

/** One line a packet; the whole message as well when `whole`. */
export class Ladder implements WireObserver {
  readonly #write: (line: string) => void
  readonly #whole: boolean

  constructor(write: (line: string) => void, whole = false) {
    this.#write = write
    this.#whole = whole
  }

  onWire(event: WireEvent): void {
    const text = latin1(event.bytes)
    const start = text.slice(0, text.indexOf('\r\n') >= 0 ? text.indexOf('\r\n') : 40).replace(/[^\x20-\x7e]/g, '.')
    const cseq = /\r\nCSeq: *([^\r\n]+)/i.exec(text)?.[1] ?? ''
    const callId = /\r\n(?:Call-ID|i): *([^\r\n]+)/i.exec(text)?.[1] ?? ''
    const way = `${endpointText(event.source)} > ${endpointText(event.destination)}`
    const place = event.connection === 0 ? event.transport : `${event.transport} #${event.connection}`
    const at = event.atMs.toFixed(1).padStart(10)
    this.#write(`${at} ${event.at.padEnd(9)} ${event.fate.padEnd(11)} ${place} ${way}  ${start}  (${cseq}) ${callId}`)
    if (this.#whole && event.fate === 'sent') this.#write(text.replace(/^/gm, '              | '))
  }
}
