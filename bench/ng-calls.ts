// Calls at a media gateway by the ng protocol, for the packet load: offer, answer, delete, many at once.

import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { present } from '#core/assert.ts'
import { decodeBencode, encodeBencode } from '#ng/bencode.ts'
import { NgProblem } from '#ng/ng-problem.ts'
import type { NgDictionary } from '#ng/ng-value.ts'

const AT_ONCE_MAX = 16
const RESEND_MS = 500
const GIVE_UP_MS = 5_000

/** One side of the calls: where it is, and its formats as SDP lines. */
export interface CallSide {
  readonly host: string
  readonly ports: readonly number[]
  /** Payload types and their rtpmap and fmtp lines. */
  readonly formats: string
  readonly attributes: readonly string[]
}

interface Waiting {
  readonly resolve: (reply: NgDictionary) => void
}

/** A client with its calls. */
export class NgCalls {
  readonly #socket: Socket
  readonly #port: number
  readonly #waiting = new Map<string, Waiting>()
  /** A gateway answers a cookie that it knows from memory: no two clients may have the same. */
  readonly #cookies = `${process.pid}.${Math.round(performance.timeOrigin + performance.now() * 1_000)}`
  #cookie = 0

  private constructor(socket: Socket, port: number) {
    this.#socket = socket
    this.#port = port
    socket.on('message', (message) => {
      const text = message.toString('latin1')
      const space = text.indexOf(' ')
      const reply = decodeBencode(text.slice(space + 1))
      if (reply instanceof NgProblem) return
      const waiting = this.#waiting.get(text.slice(0, space))
      this.#waiting.delete(text.slice(0, space))
      waiting?.resolve(reply as NgDictionary)
    })
  }

  static async open(port: number): Promise<NgCalls> {
    const socket = createSocket('udp4')
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    return new NgCalls(socket, port)
  }

  /** Asks, and again until there is a reply. */
  async ask(command: NgDictionary): Promise<NgDictionary> {
    const cookie = `${this.#cookies}.${++this.#cookie}`
    const message = Buffer.from(`${cookie} ${encodeBencode(command)}`, 'latin1')
    const reply = new Promise<NgDictionary>((resolve) => this.#waiting.set(cookie, { resolve }))
    const begunMs = performance.now()
    const send = (): void => this.#socket.send(message, this.#port, '127.0.0.1')
    send()
    let failed: NodeJS.Timeout | undefined
    const givenUp = new Promise<never>((_, reject) => {
      failed = setInterval(() => {
        if (performance.now() - begunMs < GIVE_UP_MS) send()
        else reject(new Error(`no reply to ${String(command['command'])}`))
      }, RESEND_MS)
    })
    try {
      const found = await Promise.race([reply, givenUp])
      if (found['result'] === 'error')
        throw new Error(`${String(command['command'])}: ${String(found['error-reason'])}`)
      return found
    } finally {
      clearInterval(failed)
    }
  }

  /** Makes a call for each port; gives the ports of the gateway for the first and the second party, in turn. */
  async make(prefix: string, first: CallSide, second: CallSide, transcode: string | null): Promise<number[]> {
    const ports: number[] = []
    await inTurn(first.ports.length, async (index) => {
      const flags = { ICE: 'remove', 'rtcp-mux': ['demux'], replace: ['origin'] }
      const codec = transcode === null ? {} : { codec: { transcode: [transcode], mask: ['PCMU'] } }
      const call = { 'call-id': `${prefix}-${index}`, 'from-tag': 'a' }
      const offered = await this.ask({ command: 'offer', ...call, ...flags, ...codec, sdp: description(first, index) })
      ports[2 * index + 1] = portOf(offered)
      const answer = { ...call, 'to-tag': 'b', ...flags, sdp: description(second, index) }
      ports[2 * index] = portOf(await this.ask({ command: 'answer', ...answer }))
    })
    return ports
  }

  async end(prefix: string, calls: number): Promise<void> {
    await inTurn(calls, async (index) => {
      await this.ask({ command: 'delete', 'call-id': `${prefix}-${index}`, 'from-tag': 'a' })
    })
  }

  close(): void {
    this.#socket.close()
  }
}

async function inTurn(count: number, one: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) await one(next++)
  }
  await Promise.all(Array.from({ length: AT_ONCE_MAX }, worker))
}

function description({ host, ports, formats, attributes }: CallSide, index: number): string {
  const lines = ['v=0', `o=bench ${index} 1 IN IP4 ${host}`, 's=-', `c=IN IP4 ${host}`, 't=0 0']
  lines.push(`m=audio ${present(ports[index], 'a port')} RTP/AVP ${formats}`, ...attributes, 'a=ptime:20', 'a=sendrecv')
  return `${lines.join('\r\n')}\r\n`
}

function portOf(reply: NgDictionary): number {
  const port = /^m=audio (\d+)/m.exec(String(reply['sdp']))?.[1]
  if (port === undefined) throw new Error(`no audio in ${JSON.stringify(reply)}`)
  return Number(port)
}
