// A packet capture of loopback during a test, and tshark as the judge of what Carillon sent.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

import { HOST, type Ports, until } from '#test/interop/carillon-process.ts'
import { peer } from '#test/peers.ts'

/** Media is known by itself too, where its description was missed. */
const MEDIA_HEURISTICS = ['--enable-heuristic', 'rtp_udp', '--enable-heuristic', 'rtcp_udp']
/** Octets a capture may hold. */
const CAPTURE_KILOBYTES_MAX = 200_000

export class Capture {
  readonly #child: ChildProcess
  readonly #file: string
  readonly #ports: Ports

  private constructor(child: ChildProcess, file: string, ports: Ports) {
    this.#child = child
    this.#file = file
    this.#ports = ports
  }

  /** Captures what goes to and from Carillon's SIP ports; resolves when the capture runs. */
  static async start(folder: string, ports: Ports): Promise<Capture> {
    const file = join(folder, 'capture.pcapng')
    const media = ports.media === undefined ? '' : ` or udp portrange ${ports.media.join('-')}`
    const filter = `udp port ${ports.udp} or tcp port ${ports.tcp} or tcp port ${ports.tls} or (ip[6:2] & 0x3fff != 0)${media}`
    const args = ['-i', 'lo', '-f', filter, '-w', file, '-a', `filesize:${CAPTURE_KILOBYTES_MAX}`, '-l', '-P']
    const child = spawn(peer('tshark').path, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    child.stdout.resume()
    const kill = (): void => void child.kill('SIGKILL')
    process.once('exit', kill)
    child.once('exit', () => process.removeListener('exit', kill))
    await until('tshark captures', 15_000, () => {
      if (child.exitCode !== null) throw new Error(`tshark ended: ${said}`)
      return Promise.resolve(said.includes('Capturing on'))
    })
    return new Capture(child, file, ports)
  }

  /** Ends the capture and gives one line for each packet from Carillon that tshark calls malformed or an error; none is right. */
  async judge(): Promise<string[]> {
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGINT')
    await ended
    const { udp, tcp, tls } = this.#ports
    const ports = `udp.srcport == ${udp} || tcp.srcport == ${tcp} || tcp.srcport == ${tls}`
    const ours = `ip.src == ${HOST} && (${ports}${this.#fromGateway(' || ')})`
    // Chats and notes are severity 0x200000 and 0x400000; warnings 0x600000; errors 0x800000.
    const bad = `_ws.malformed || _ws.expert.severity >= 0x800000`
    const out = execFileSync(
      peer('tshark').path,
      [
        ...['-r', this.#file, '-d', `udp.port==${udp},sip`, '-d', `tcp.port==${tcp},sip`, ...MEDIA_HEURISTICS],
        ...['-Y', `(${ours}) && (${bad})`, '-T', 'fields', '-e', 'frame.number', '-e', '_ws.col.Info'],
        ...['-e', '_ws.expert.message', '-e', 'sip.msg_hdr'],
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 64 * 1024 * 1024 },
    )
    return out.split('\n').filter((line) => line !== '')
  }

  /** How many packets of `protocol` (rtp, rtcp) the embedded gateway sent. */
  media(protocol: 'rtp' | 'rtcp'): number {
    const out = execFileSync(
      peer('tshark').path,
      [
        ...['-r', this.#file, '-d', `udp.port==${this.#ports.udp},sip`, ...MEDIA_HEURISTICS],
        ...['-Y', `${protocol}${this.#fromGateway(' && ')}`, '-T', 'fields', '-e', 'frame.number'],
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 64 * 1024 * 1024 },
    )
    return out.split('\n').filter((line) => line !== '').length
  }

  #fromGateway(conjunction: string): string {
    const { media } = this.#ports
    return media === undefined ? '' : `${conjunction}(udp.srcport >= ${media[0]} && udp.srcport <= ${media[1]})`
  }

  /** How many SIP messages from Carillon the capture has: a judge that saw nothing has judged nothing. */
  sent(): number {
    const { udp, tcp } = this.#ports
    const out = execFileSync(
      peer('tshark').path,
      [
        ...['-r', this.#file, '-d', `udp.port==${udp},sip`, '-d', `tcp.port==${tcp},sip`],
        ...['-Y', `sip && (udp.srcport == ${udp} || tcp.srcport == ${tcp})`, '-T', 'fields', '-e', 'frame.number'],
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 64 * 1024 * 1024 },
    )
    return out.split('\n').filter((line) => line !== '').length
  }
}
