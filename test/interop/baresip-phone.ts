// baresip as a telephone without screen or sound card: a WAV file is its microphone, another its loudspeaker.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'

import { DOMAIN, HOST, tcpPort, until } from '#test/interop/carillon-process.ts'
import { peer } from '#test/peers.ts'

const MODULE_FOLDERS = ['/usr/lib/baresip/modules', '/usr/lib/x86_64-linux-gnu/baresip/modules']
const EVENT_MS = 10_000
const SAMPLES_PER_SECOND = 8_000
const TONE_S = 30

export interface PhoneOptions {
  readonly user: string
  readonly password: string
  readonly transport: 'udp' | 'tcp' | 'tls'
  /** Carillon's port for that transport. */
  readonly port: number
  /** What it says into its microphone, in hertz. */
  readonly toneHz?: number
  /** Codecs it offers, as baresip writes them, such as `opus/48000/2`; without it G.711. */
  readonly codecs?: string
  /** More parameters of its account, such as `mediaenc=srtp`. */
  readonly account?: readonly string[]
  /** Modules beyond the common ones. */
  readonly modules?: readonly string[]
  /** Answers calls by itself. */
  readonly answers?: boolean
  /** Does not register: calls go to its address, and from it to `port` as they are. */
  readonly unregistered?: boolean
  /** Its SIP port; without it a free one. */
  readonly listenPort?: number
}

/** One event of baresip's ctrl_tcp module. */
export interface PhoneEvent {
  readonly type: string
  readonly class: string
  readonly param: string
  readonly peeruri: string
}

export class BaresipPhone {
  readonly user: string
  readonly #folder: string
  readonly #child: ChildProcess
  readonly #control: Socket
  readonly #events: PhoneEvent[] = []
  /** What it said to commands. */
  readonly #answers: string[] = []
  /** Events before this one were taken by `event`. */
  #taken = 0
  #unread = Buffer.alloc(0)
  #output: () => string

  private constructor(user: string, folder: string, child: ChildProcess, control: Socket, output: () => string) {
    this.user = user
    this.#folder = folder
    this.#child = child
    this.#control = control
    this.#output = output
    control.on('data', (chunk) => this.#onControl(chunk))
    control.on('error', () => undefined)
  }

  /** Starts a telephone that registers at once. Resolves when it can be controlled, not yet registered. */
  static async start(folder: string, options: PhoneOptions): Promise<BaresipPhone> {
    const own = mkdtempSync(join(folder, `baresip-${options.user}-`))
    const modules = MODULE_FOLDERS.find((path) => existsSync(path))
    if (modules === undefined) throw new Error('baresip has no modules: apt-get install baresip-core')
    const controlPort = await tcpPort()
    writeFileSync(join(own, 'config'), configuration(own, modules, controlPort, options))
    const outbound = `sip:${HOST}:${options.port};transport=${options.transport}`
    const account = [
      `<sip:${options.user}@${DOMAIN};transport=${options.transport}>`,
      `auth_user=${options.user}`,
      `auth_pass=${options.password}`,
      `outbound="${outbound}"`,
      `regint=${options.unregistered === true ? 0 : 600}`,
      `answermode=${options.answers === true ? 'auto' : 'manual'}`,
      ...(options.codecs === undefined ? [] : [`audio_codecs=${options.codecs}`]),
      ...(options.account ?? []),
    ]
    writeFileSync(join(own, 'accounts'), `${account.join(';')}\n`)
    writeFileSync(join(own, 'contacts'), '')
    writeFileSync(join(own, 'tone.wav'), tone(options.toneHz ?? 440))
    let output = ''
    // -s prints every SIP message, which a failing test shows.
    const child = spawn(peer('baresip').path, ['-f', own, '-s', '-4'], { cwd: own, stdio: ['ignore', 'pipe', 'pipe'] })
    const onOutput = (chunk: Buffer | string): void => {
      output = (output + chunk.toString()).slice(-100_000)
    }
    child.stdout.on('data', onOutput)
    child.stderr.on('data', onOutput)
    const kill = (): void => void child.kill('SIGKILL')
    process.once('exit', kill)
    child.once('exit', () => process.removeListener('exit', kill))
    const socket = await control(controlPort, () => output)
    return new BaresipPhone(options.user, own, child, socket, () => output)
  }

  /** What it hears in its last call: a WAV file that grows while it listens; null before there is one. */
  get heard(): string | null {
    const files = readdirSync(this.#folder).filter((name) => name.endsWith('-dec.wav'))
    const newest = files.sort().at(-1)
    return newest === undefined ? null : join(this.#folder, newest)
  }

  /** Gives a command of baresip's menu: dial, accept, hangup, hold, resume … */
  command(name: string, parameters = ''): void {
    const text = JSON.stringify({ command: name, params: parameters, token: name })
    this.#control.write(`${Buffer.byteLength(text)}:${text},`)
  }

  /** Waits for an event of that type that came after the last one taken. */
  async event(type: string): Promise<PhoneEvent> {
    let found = -1
    await until(`${this.user}: ${type}`, EVENT_MS, () => {
      found = this.#events.findIndex((event, index) => index >= this.#taken && event.type === type)
      return Promise.resolve(found >= 0)
    }).catch((error: unknown) => {
      const had = this.#events.map((event) => `${event.type} ${event.param}`).join(', ')
      throw new Error(`${String(error)}; had: ${had}`)
    })
    this.#taken = found + 1
    const event = this.#events[found]
    if (event === undefined) throw new Error('unreachable')
    return event
  }

  /** All that it printed, SIP messages with it, and what it said to commands. */
  output(): string {
    return `${this.#output()}\n${this.#answers.join('\n')}`
  }

  /** Waits until it is registered: it may be before its control is open, so what it printed counts, not the event. */
  registered(): Promise<void> {
    return this.printed(/ 200 OK .*\[\d+ bindings?\]/)
  }

  /** Waits until `text` was printed. */
  async printed(text: string | RegExp): Promise<void> {
    const seen = (): boolean => (typeof text === 'string' ? this.#output().includes(text) : text.test(this.#output()))
    await until(`${this.user} prints ${text}`, EVENT_MS, () => Promise.resolve(seen()))
  }

  /** Unregisters and ends. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.command('quit')
    const term = setTimeout(() => this.#child.kill('SIGTERM'), 2_000)
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), 5_000)
    await ended
    clearTimeout(term)
    clearTimeout(kill)
    this.#control.destroy()
  }

  /** Ends at once, as when its battery is pulled. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
    this.#control.destroy()
  }

  /** ctrl_tcp frames JSON as netstrings: "LENGTH:JSON,". */
  #onControl(chunk: Buffer | string): void {
    this.#unread = Buffer.concat([this.#unread, Buffer.from(chunk as string)])
    for (;;) {
      const colon = this.#unread.indexOf(58)
      if (colon < 0) return
      const length = Number(this.#unread.toString('latin1', 0, colon))
      if (this.#unread.length < colon + 1 + length + 1) return
      const message = JSON.parse(this.#unread.toString('utf8', colon + 1, colon + 1 + length)) as Record<
        string,
        unknown
      >
      this.#unread = this.#unread.subarray(colon + 1 + length + 1)
      const text = (key: string): string => (typeof message[key] === 'string' ? message[key] : '')
      if (message['event'] !== true) {
        this.#answers.push(`${text('token')}: ${JSON.stringify(message['ok'])} ${text('data')}`)
        continue
      }
      this.#events.push({ type: text('type'), class: text('class'), param: text('param'), peeruri: text('peeruri') })
    }
  }
}

async function control(port: number, output: () => string): Promise<Socket> {
  let socket: Socket | null = null
  await until('baresip can be controlled', 10_000, async () => {
    const attempt = connect(port, '127.0.0.1')
    const opened = await Promise.race([
      once(attempt, 'connect').then(() => true),
      once(attempt, 'error').then(() => false),
    ]).catch(() => false)
    if (opened) socket = attempt
    else attempt.destroy()
    return opened
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${output()}`)
  })
  if (socket === null) throw new Error('unreachable')
  return socket
}

function configuration(folder: string, modules: string, controlPort: number, options: PhoneOptions): string {
  return [
    `module_path ${modules}`,
    'module g711.so',
    ...(options.modules ?? []).map((name) => `module ${name}.so`),
    'module aufile.so',
    'module aubridge.so',
    // Writes what comes out of the decoder to a file: there is no loudspeaker.
    'module sndfile.so',
    `snd_path ${folder}`,
    'module uuid.so',
    'module_app account.so',
    'module_app menu.so',
    'module_app ctrl_tcp.so',
    `ctrl_tcp_listen 127.0.0.1:${controlPort}`,
    `sip_listen ${HOST}:${options.listenPort ?? 0}`,
    'sip_verify_server no',
    'call_local_timeout 120',
    'call_max_calls 4',
    `audio_source aufile,${join(folder, 'tone.wav')}`,
    'audio_player aubridge,nowhere',
    'audio_alert aubridge,nowhere',
    'ausrc_srate 8000',
    'auplay_srate 8000',
    'ausrc_channels 1',
    'auplay_channels 1',
    'rtp_ports 40000-49999',
    'rtcp_mux no',
    'dns_server 127.0.0.1:53',
    '',
  ].join('\n')
}

/** A WAV file with a tone: 16-bit samples, one channel, 8,000 a second. */
function tone(hertz: number): Buffer {
  const samples = SAMPLES_PER_SECOND * TONE_S
  const header = Buffer.alloc(44)
  header.write('RIFF', 0, 'latin1')
  header.writeUInt32LE(36 + samples * 2, 4)
  header.write('WAVEfmt ', 8, 'latin1')
  header.writeUInt32LE(16, 16)
  header.writeUInt16LE(1, 20)
  header.writeUInt16LE(1, 22)
  header.writeUInt32LE(SAMPLES_PER_SECOND, 24)
  header.writeUInt32LE(SAMPLES_PER_SECOND * 2, 28)
  header.writeUInt16LE(2, 32)
  header.writeUInt16LE(16, 34)
  header.write('data', 36, 'latin1')
  header.writeUInt32LE(samples * 2, 40)
  const body = Buffer.alloc(samples * 2)
  for (let n = 0; n < samples; n++) {
    body.writeInt16LE(Math.round(8_000 * Math.sin((2 * Math.PI * hertz * n) / SAMPLES_PER_SECOND)), n * 2)
  }
  return Buffer.concat([header, body])
}
