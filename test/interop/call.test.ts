// Calls between SIPp telephones through Carillon: answered, held, cancelled, refused, unanswered, with and without offer.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { DOMAIN } from '#test/interop/carillon-process.ts'
import { BOB, Rig } from '#test/interop/rig.ts'
import { peers } from '#test/peers.ts'

const { options } = peers('sipp', 'tshark')
/** The shortest that the configuration allows. */
const NO_ANSWER = 'algorithms: [MD5, SHA-256], noAnswerS: 5'
let rig: Rig

before(async () => {
  if (options.skip === false) rig = await Rig.start('', [], NO_ANSWER)
})
after(async () => {
  if (options.skip === false) await rig.end()
})

/** Alice calls bob; both scenarios must go as written. Gives what each saw. */
async function callBob(
  caller: string,
  callee: string,
  called: string = BOB.user,
): Promise<{ alice: string; bob: string }> {
  const bob = await rig.bobWaits(callee)
  const alice = await (await rig.aliceCalls(caller, called)).finish()
  // Bob's side explains more often than alice's what went wrong.
  if (alice.exitCode !== 0) rig.passed(`${caller} (and bob saw: ${bob.messages()})`, alice)
  return { alice: alice.messages, bob: rig.passed(callee, await bob.finish()).messages }
}

test('a call is answered, held, resumed and hung up, and leaves a START and a STOP', options, async () => {
  const { alice, bob } = await callBob('call', 'answer')
  const stop = await rig.carillon.cdr('STOP', (record) => record.type === 'STOP')
  const start = await rig.carillon.cdr('START', (record) => record.type === 'START' && record.callId === stop.callId)
  assert.equal(start.answeredAt, stop.answeredAt)
  assert.equal(stop.caller, `sip:alice@${DOMAIN}`)
  assert.equal(stop.releaseParty, 'caller')
  assert.equal(stop.sipStatus, 200)
  assert.equal(stop.q850Cause, 16)
  assert.equal(stop.durationMs, (stop.endedAt ?? 0) - (stop.answeredAt ?? 0))
  // A B2BUA: dialogs of its own on each side, and no address of one side on the other (RFC 7092).
  const callIds = (text: string): Set<string> =>
    new Set([...text.matchAll(/^Call-ID: *(\S+)/gim)].map((m) => m[1] ?? ''))
  assert.equal(callIds(alice).intersection(callIds(bob)).size, 0)
  // The caller whom bob sees is the one who authenticated, from the domain, not from an address.
  assert.match(bob, new RegExp(`^From: .*<sip:(alice|\\+12025550101)@${DOMAIN}`, 'im'))
})

test('a call by number reaches the subscriber who has it', options, async () => {
  await callBob('call', 'answer', '+12025550102')
})

test('a caller who gives up while it rings: CANCEL goes through, 487 comes back', options, async () => {
  const { bob } = await callBob('cancel', 'cancelled')
  assert.match(bob, /^CANCEL sip:/m)
  const attempt = await rig.carillon.cdr('cancelled', (record) => record.sipStatus === 487)
  assert.equal(attempt.type, 'ATTEMPT')
  assert.equal(attempt.releaseParty, 'caller')
})

test('a busy telephone: 486 reaches the caller', options, async () => {
  await callBob('refused', 'busy')
  const attempt = await rig.carillon.cdr('busy', (record) => record.sipStatus === 486)
  assert.equal(attempt.q850Cause, 17)
})

test('nobody answers: the callee is cancelled and the caller gets 480', options, async () => {
  await callBob('unanswered', 'cancelled')
  const attempt = await rig.carillon.cdr('no answer', (record) => record.sipStatus === 480)
  assert.equal(attempt.q850Cause, 19)
  assert.equal(attempt.releaseParty, 'switch')
})

test('a call without offer: the offer comes in the 200, the answer in the ACK', options, async () => {
  await callBob('delayed-offer', 'answer-with-offer')
})

test('a reliable provisional response is acknowledged with PRACK', options, async () => {
  await callBob('reliable', 'answer-reliably')
})

test('a call without credentials is challenged with 407 and reaches nobody', options, async () => {
  const bob = await rig.bobWaits('busy')
  const alice = rig.passed('unauthenticated', await (await rig.aliceCalls('unauthenticated', BOB.user)).finish())
  assert.match(alice.messages, /^Proxy-Authenticate: Digest /im)
  const { messages } = await bob.stop()
  assert.doesNotMatch(messages, /INVITE/)
})

test('a call with a wrong password is refused and reaches nobody', options, async () => {
  const bob = await rig.bobWaits('busy')
  rig.passed('call-refused', await (await rig.aliceCalls('call-refused', BOB.user, 'guess')).finish())
  const { messages } = await bob.stop()
  assert.doesNotMatch(messages, /INVITE/)
})

test('a telephone whose connection is gone does not keep the other one from the call', options, async () => {
  // SIPp's connection ends with its process: what remains is a contact that nobody can reach.
  await rig.register(BOB, 'tcp')
  const bob = await rig.bobWaits('answer')
  const alice = await (await rig.aliceCalls('call', BOB.user)).finish()
  rig.passed(`call (bob saw: ${bob.messages()})`, alice)
  rig.passed('answer', await bob.finish())
})
