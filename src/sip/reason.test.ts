import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Message, parseMessage } from '#sip/message.ts'
import { parseReason, q850CauseOf, reasonsOf, reasonText } from '#sip/reason.ts'

function bye(reason: string): Message {
  const message = parseMessage(`BYE sip:h SIP/2.0\r\n${reason}\r\n\r\n`)
  assert.ok(message instanceof Message)
  return message
}

test('the examples of RFC 3326 §2 are read', () => {
  const message = bye(
    'Reason: SIP ;cause=200 ;text="Call completed elsewhere"\r\nReason: Q.850 ;cause=16 ;text="Terminated", foo',
  )
  assert.deepEqual(reasonsOf(message), [
    { protocol: 'SIP', cause: 200, text: 'Call completed elsewhere' },
    { protocol: 'Q.850', cause: 16, text: 'Terminated' },
    { protocol: 'FOO', cause: null, text: '' },
  ])
  assert.equal(q850CauseOf(message), 16)
})

test('a malformed reason is left out', () => {
  assert.deepEqual(reasonsOf(bye('Reason: Q.850;cause=x, SIP;cause=600')), [{ protocol: 'SIP', cause: 600, text: '' }])
  assert.equal(q850CauseOf(bye('Reason: Q.850;cause=128')), null)
  assert.equal(q850CauseOf(bye('Reason: "')), null)
  assert.equal(q850CauseOf(bye('Subject: none')), null)
})

test('a reason that is written is read back', () => {
  const text = fc.string({ unit: 'binary' }).map((s) =>
    Buffer.from(s)
      .toString('latin1')
      .replace(/[\r\n]/g, ''),
  )
  fc.assert(
    fc.property(fc.option(fc.nat(999)), text, (cause, words) => {
      const reason = { protocol: 'Q.850', cause, text: words }
      assert.deepEqual(parseReason(reasonText(reason)), reason)
    }),
  )
})
