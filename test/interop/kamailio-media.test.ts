// Kamailio's rtpengine module drives our media gateway for whole calls between two baresip telephones.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { BaresipPhone } from '#test/interop/baresip-phone.ts'
import { DOMAIN, HOST, udpPort, until } from '#test/interop/carillon-process.ts'
import { hears, tone } from '#test/interop/hearing.ts'
import { peer, peers } from '#test/peers.ts'

const { options } = peers('baresip', 'kamailio')
const PROGRAM = join(import.meta.dirname, '../../src/bin/carillon.ts')

/** A program of this test, its output, and its end. */
class Running {
  readonly #child: ChildProcess
  #said = ''

  constructor(path: string, args: readonly string[], cwd: string) {
    const child = spawn(path, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    const onOutput = (chunk: Buffer): void => {
      this.#said = (this.#said + chunk.toString()).slice(-200_000)
    }
    child.stdout.on('data', onOutput)
    child.stderr.on('data', onOutput)
    const kill = (): void => void child.kill('SIGKILL')
    process.once('exit', kill)
    child.once('exit', () => process.removeListener('exit', kill))
  }

  said(): string {
    return this.#said
  }

  async says(text: RegExp): Promise<void> {
    await until(`the program says ${text}`, 20_000, () => {
      if (this.#child.exitCode !== null) throw new Error(`it ended: ${this.#said}`)
      return Promise.resolve(text.test(this.#said))
    })
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    const last = setTimeout(() => this.#child.kill('SIGKILL'), 5_000)
    await ended
    clearTimeout(last)
  }
}

let folder: string
let gateway: Running
let kamailio: Running
let sipPort: number
let calleePort: number

before(async () => {
  if (options.skip !== false) return
  folder = mkdtempSync(join(tmpdir(), 'carillon-kamailio-'))
  const ngPort = await udpPort(HOST)
  sipPort = await udpPort(HOST)
  calleePort = await udpPort(HOST)
  const first = 20_000 + (ngPort % 100) * 100
  const args = ['gateway', '--control', `udp:${HOST}:${ngPort}`, '--listen', HOST, '--ports', `${first}-${first + 199}`]
  gateway = new Running(
    process.execPath,
    [PROGRAM, ...args, '--data', join(folder, 'data'), '--drain-seconds', '0'],
    folder,
  )
  await gateway.says(/GATEWAY_READY/)
  const template = readFileSync(join(import.meta.dirname, 'kamailio/media.cfg'), 'utf8')
  const file = join(folder, 'kamailio.cfg')
  const ports = { SIP_PORT: sipPort, NG_PORT: ngPort, CALLEE_PORT: calleePort }
  writeFileSync(
    file,
    Object.entries(ports).reduce((text, [name, port]) => text.replaceAll(name, String(port)), template),
  )
  kamailio = new Running(peer('kamailio').path, ['-DD', '-E', '-f', file, '-Y', folder, '-m', '64', '-M', '8'], folder)
  await kamailio.says(/rtpengine instance .* found, support for it enabled/)
})
after(async () => {
  if (options.skip !== false) return
  await kamailio.stop()
  await gateway.stop()
  rmSync(folder, { recursive: true, force: true })
})

test('our gateway carries a call of Kamailio: answered, held, resumed, hung up', options, async () => {
  const common = { password: 'none', transport: 'udp', port: sipPort, unregistered: true } as const
  const alice = await BaresipPhone.start(folder, { ...common, user: 'alice', toneHz: 440 })
  const bob = await BaresipPhone.start(folder, { ...common, user: 'bob', toneHz: 700, listenPort: calleePort })
  try {
    alice.command('dial', `sip:bob@${DOMAIN}`)
    await bob.event('CALL_INCOMING')
    bob.command('accept')
    await alice.event('CALL_ESTABLISHED')
    await hears(alice, '700 Hz', tone(700))
    await hears(bob, '440 Hz', tone(440))
    alice.command('hold')
    await bob.printed(/a=sendonly/)
    alice.command('resume')
    await bob.printed(/a=sendonly[\s\S]*a=sendrecv/)
    await hears(alice, '700 Hz', tone(700))
    await hears(bob, '440 Hz', tone(440))
    alice.command('hangup')
    await bob.event('CALL_CLOSED')
    assert.doesNotMatch(kamailio.said(), /ERROR: rtpengine/)
  } catch (error) {
    const outputs = [alice.output(), bob.output(), kamailio.said().slice(-4_000), gateway.said().slice(-4_000)]
    throw new Error(`${String(error)}\n${outputs.join('\n────\n')}`)
  } finally {
    await alice.stop()
    await bob.stop()
  }
})
