import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Endpoint, endpointText } from '#core/net.ts'
import { VirtualClock } from '#sim/virtual-clock.ts'
import { IceLiteAgent, type IceLiteSink } from '#stun/ice-lite.ts'
import { BINDING, hasIntegrity, parseStun, type StunMessage, StunWriter } from '#stun/stun-message.ts'

const CREDENTIALS = {
  localUfrag: 'ours',
  localPassword: 'our-password-of-22-chars',
  remoteUfrag: 'them',
  remotePassword: 'their-password-of-22-chars',
}
const PHONE: Endpoint = { host: '192.0.2.10', port: 40_000, family: 4 }
const OTHER: Endpoint = { host: '192.0.2.10', port: 40_002, family: 4 }
const STRANGER: Endpoint = { host: '2001:db8::66', port: 6_666, family: 6 }
const PRFLX = 0x6effffff

interface Check {
  readonly username?: string | null
  readonly password?: string | null
  readonly nominates?: boolean
  readonly controlled?: boolean
  readonly priority?: number
  readonly unknown?: number
}

class Rig implements IceLiteSink {
  readonly clock = new VirtualClock()
  readonly events: string[] = []
  readonly agent = new IceLiteAgent(this.clock, CREDENTIALS, this)
  readonly #writer = new StunWriter()
  #transactions = 0

  onNominated(remote: Endpoint): void {
    this.events.push(`${this.clock.now()} ${endpointText(remote)}`)
  }

  onConsentLost(): void {
    this.events.push(`${this.clock.now()} lost`)
  }

  /** The bytes of a check. */
  check(check: Check = {}): Uint8Array {
    const transactionId = new Uint8Array(12)
    transactionId[11] = this.#transactions++
    const writer = this.#writer.begin('request', BINDING, transactionId)
    if (check.username !== null) writer.username(check.username ?? 'ours:them')
    writer.priority(check.priority ?? PRFLX)
    if (check.controlled === true) writer.controlled(7n)
    else writer.controlling(7n)
    if (check.nominates === true) writer.useCandidate()
    if (check.unknown !== undefined) writer.attribute(check.unknown, new Uint8Array(4))
    if (check.password !== null) writer.messageIntegrity(check.password ?? CREDENTIALS.localPassword)
    return writer.end().slice()
  }

  /** The answer to a check from there. */
  receive(check: Check = {}, source = PHONE): StunMessage | null {
    const bytes = this.agent.onStun(this.check(check), source)
    if (bytes === null) return null
    const answer = parseStun(bytes)
    assert.ok(answer?.hasFingerprint)
    const refused = answer.errorCode === 400 || answer.errorCode === 401
    assert.equal(hasIntegrity(bytes, answer, CREDENTIALS.localPassword), !refused)
    return answer
  }
}

test('RFC 8445 §7.3: a check is answered with the address it came from, signed with our password', () => {
  const rig = new Rig()
  const request = rig.check()
  const answer = rig.agent.onStun(request, PHONE)
  assert.ok(answer !== null)
  const message = parseStun(answer)
  assert.equal(message?.stunClass, 'success')
  assert.deepEqual(message?.transactionId, request.subarray(8, 20))
  // §14.2: 40000 and 192.0.2.10 over the cookie.
  assert.ok(Buffer.from(answer).toString('hex').includes('002000080001bd52e112a648'))
  assert.deepEqual(rig.events, [], 'a check without USE-CANDIDATE nominates nothing')
  assert.equal(rig.agent.remote, null)
})

test('§7.3.1.5: USE-CANDIDATE nominates the address it came from, once', () => {
  const rig = new Rig()
  rig.receive({ nominates: true })
  rig.receive({ nominates: true })
  rig.receive()
  assert.deepEqual(rig.events, ['0 192.0.2.10:40000'])
  assert.deepEqual(rig.agent.remote, PHONE)
})

test('§8.1.1: of several nominated addresses the one of the highest priority is taken while it lives', () => {
  const rig = new Rig()
  rig.receive({ nominates: true, priority: 100 }, OTHER)
  rig.receive({ nominates: true, priority: 200 }, PHONE)
  rig.receive({ nominates: true, priority: 100 }, OTHER)
  assert.deepEqual(rig.events, ['0 192.0.2.10:40002', '0 192.0.2.10:40000'])
  rig.clock.time.runUntil(7_000)
  rig.receive({ nominates: true, priority: 100 }, OTHER)
  assert.deepEqual(rig.events.slice(2), ['7000 192.0.2.10:40002'])
})

test('RFC 8489 §9.1.3: without credentials 400, with wrong ones 401, and nothing is learnt from it', () => {
  const rig = new Rig()
  assert.equal(rig.receive({ password: null, nominates: true }, STRANGER)?.errorCode, 400)
  assert.equal(rig.receive({ username: null, nominates: true }, STRANGER)?.errorCode, 400)
  assert.equal(rig.receive({ username: 'them:ours', nominates: true }, STRANGER)?.errorCode, 401)
  assert.equal(rig.receive({ username: 'ours', nominates: true }, STRANGER)?.errorCode, 401)
  assert.equal(rig.receive({ password: 'guessed', nominates: true }, STRANGER)?.errorCode, 401)
  assert.equal(rig.agent.refusal, 'STUN_AUTH')
  assert.deepEqual(rig.events, [])
})

test('RFC 8445 §7.3.1.1: who thinks itself controlled gets 487', () => {
  const rig = new Rig()
  assert.equal(rig.receive({ controlled: true, nominates: true })?.errorCode, 487)
  assert.equal(rig.agent.refusal, 'STUN_ROLE')
  assert.deepEqual(rig.events, [])
})

test('RFC 8489 §6.3.1: an unknown comprehension-required attribute gets 420', () => {
  const rig = new Rig()
  assert.equal(rig.receive({ unknown: 0x0031 })?.errorCode, 420)
  assert.equal(rig.receive({ unknown: 0xc057 })?.stunClass, 'success')
})

test('what is no request for us has no answer', () => {
  const rig = new Rig()
  const writer = new StunWriter()
  const id = new Uint8Array(12)
  assert.equal(rig.agent.onStun(writer.begin('indication', BINDING, id).end(), PHONE), null)
  assert.equal(rig.agent.onStun(writer.begin('success', BINDING, id).messageIntegrity('x').end(), PHONE), null)
  assert.equal(rig.agent.onStun(writer.begin('request', 0x003, id).end(), PHONE), null)
  assert.equal(rig.agent.refusal, 'STUN_UNEXPECTED')
  assert.equal(rig.agent.onStun(new Uint8Array(20), PHONE), null)
  assert.equal(rig.agent.refusal, 'STUN_MALFORMED')
})

test('RFC 7675 §5.1: consent ends 30 s after the last valid check from the nominated address', () => {
  const rig = new Rig()
  rig.receive({ nominates: true })
  rig.clock.time.runUntil(20_000)
  rig.receive()
  rig.receive({ password: 'guessed' })
  rig.clock.time.runUntil(40_000)
  rig.receive({}, OTHER)
  rig.receive({ password: 'guessed' })
  rig.clock.time.runUntil(60_000)
  assert.deepEqual(rig.events, ['0 192.0.2.10:40000', '50000 lost'])
  assert.equal(rig.agent.remote, null)
  rig.receive()
  assert.deepEqual(rig.events.slice(2), ['60000 192.0.2.10:40000'], 'a valid check gives consent again')
  rig.agent.close()
  assert.equal(rig.clock.armed, 0)
})

test('answers to strangers and sums of one second are bounded', () => {
  const rig = new Rig()
  let answers = 0
  for (let i = 0; i < 100; i += 1) if (rig.receive({ username: 'x:y' }, STRANGER) !== null) answers += 1
  assert.equal(answers, 10)
  assert.equal(rig.receive({ nominates: true })?.stunClass, 'success', 'and do not keep others from theirs')
  for (let i = 0; i < 300; i += 1) rig.receive({ password: 'guessed' }, STRANGER)
  assert.equal(rig.receive(), null)
  assert.equal(rig.agent.refusal, 'STUN_RATE')
  rig.clock.time.runUntil(1_000)
  assert.equal(rig.receive()?.stunClass, 'success')
})

test('any change of a check is taken without an error, and only a valid one nominates', () => {
  const rig = new Rig()
  const good = rig.check({ nominates: true })
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 })), { minLength: 1 }),
      (changes) => {
        const bytes = good.slice(0, -8)
        new DataView(bytes.buffer).setUint16(2, bytes.length - 20)
        const before = Buffer.from(bytes)
        for (const [at, octet] of changes) bytes[at % bytes.length] = (bytes[at % bytes.length] as number) ^ octet
        rig.clock.time.runUntil(rig.clock.now() + 1_000)
        rig.agent.onStun(bytes, STRANGER)
        if (!before.equals(bytes)) assert.deepEqual(rig.events, [])
        else rig.events.length = 0
      },
    ),
    { numRuns: 500 },
  )
})
