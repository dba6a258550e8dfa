// Properties of the message layer over random legal messages and their mutations: RFC 3261 §7, §25.1.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { present } from '#core/assert.ts'
import { checkRequest, checkResponse } from '#sip/check.ts'
import { HeaderId } from '#sip/header-id.ts'
import { parseIp } from '#sip/ip-address.ts'
import {
  type GeneratedAddress,
  type GeneratedMessage,
  type GeneratedUri,
  legalMessage,
} from '#sip/message.arbitrary.ts'
import { type Message, ParseProblem, parseMessage, Request, Response } from '#sip/message.ts'
import type { NameAddr } from '#sip/name-addr.ts'
import { parseUri, type Uri } from '#sip/uri.ts'
import { sameUri } from '#sip/uri-equal.ts'
import { parseVia } from '#sip/via.ts'

function hostMeant(written: string): string {
  return written.startsWith('[') ? (parseIp(written.slice(1, -1))?.host ?? '?') : written.toLowerCase()
}

function assertUri(uri: Uri, meant: GeneratedUri): void {
  const { text, scheme, user, password, port, params, headers } = uri
  assert.deepEqual(
    { text, scheme, user, password, host: uri.host, port, params, headers },
    { ...meant, host: hostMeant(meant.host), params: scheme === 'tel' ? params : meant.params },
  )
  assert.ok(sameUri(uri, present(parseUri(text), text)))
}

function assertAddress(address: NameAddr, meant: GeneratedAddress): void {
  assert.equal(address.displayName, meant.displayName)
  assert.equal(address.tag, meant.tag)
  assertUri(address.uri, meant.uri)
}

function assertMeans(message: Message, meant: GeneratedMessage): void {
  if (message instanceof Request) {
    assert.equal(message.method, meant.method)
    assertUri(message.uri, present(meant.uri, 'URI'))
  } else if (message instanceof Response) {
    assert.equal(message.status, meant.status)
    assert.equal(message.reason, meant.reason)
  }
  const vias = (message.list(HeaderId.via) ?? []).map(parseVia)
  assert.equal(vias.length, meant.vias.length)
  for (const [i, via] of vias.entries()) {
    const expected = present(meant.vias[i], 'Via')
    assert.equal(via?.transport, expected.transport.toUpperCase())
    assert.equal(via?.host, hostMeant(expected.host))
    assert.equal(via?.port, expected.port)
    assert.equal(via?.branch, expected.branch)
  }
  assert.equal(message.topmostVia.text, vias[0]?.text)
  assertAddress(message.from, meant.from)
  assertAddress(message.to, meant.to)
  const contacts = present(message.nameAddrs(HeaderId.contact), 'Contact')
  assert.equal(contacts.length, meant.contacts.length)
  for (const [i, contact] of contacts.entries()) assertAddress(contact, present(meant.contacts[i], 'Contact'))
  const routes = present(message.nameAddrs(HeaderId.route), 'Route')
  assert.equal(routes.length, meant.routes.length)
  for (const [i, route] of routes.entries()) assertAddress(route, present(meant.routes[i], 'Route'))
  assert.equal(message.callId, meant.callId)
  assert.deepEqual(message.cseq, { number: meant.cseq, method: meant.cseqMethod })
  assert.equal(Number(message.header(HeaderId.maxForwards)), meant.maxForwards)
  for (const tag of meant.supported) assert.ok(message.hasOption(HeaderId.supported, tag.toLowerCase()))
  assert.deepEqual(message.extension('X-Unknown'), [meant.extension])
  assert.equal(message.body, meant.body)
}

function parsed(text: string): Message {
  const message = parseMessage(text)
  if (message instanceof ParseProblem) assert.fail(`${message.code} ${message.reason}`)
  const problem = message instanceof Request ? checkRequest(message) : checkResponse(message as Response)
  assert.equal(problem?.reason, undefined)
  return message
}

test('whatever the grammar allows is accepted and means what was written', () => {
  fc.assert(
    fc.property(legalMessage, (meant) => assertMeans(parsed(meant.text), meant)),
    { numRuns: 400 },
  )
})

test('a message written again from its header fields means the same', () => {
  fc.assert(
    fc.property(legalMessage, (meant) => {
      const message = parsed(meant.text)
      const start =
        message instanceof Request
          ? `${message.method} ${message.uriText} SIP/2.0`
          : `SIP/2.0 ${meant.status} ${meant.reason}`
      let text = `${start}\r\n`
      for (let i = 0; i < message.headerCount; i += 1)
        text += `${message.headerNameOf(i)}: ${message.headerValueOf(i)}\r\n`
      assertMeans(parsed(`${text}\r\n${message.body}`), meant)
    }),
    { numRuns: 200 },
  )
})

test('octets beyond Content-Length are ignored', () => {
  fc.assert(
    fc.property(legalMessage, fc.string({ maxLength: 30 }), (meant, tail) => {
      fc.pre(/\r\n(?:l|Content-Length)[ \t]*:/i.test(meant.text))
      assertMeans(parsed(meant.text + tail), meant)
    }),
    { numRuns: 100 },
  )
})

const edit = fc.record({
  at: fc.nat(2_000),
  remove: fc.nat(5),
  insert: fc.oneof(
    fc.constantFrom(
      '\r',
      '\n',
      '\r\n',
      '\r\n ',
      '\0',
      '"',
      '<',
      '>',
      ';',
      ',',
      ':',
      '@',
      '%',
      '[',
      '\\',
      ' ',
      '\t',
      '=',
      '',
    ),
    fc.string({ unit: 'binary', maxLength: 4 }).map((text) => Buffer.from(text).toString('latin1')),
  ),
})

test('no mutation of a message makes the parser throw, and each refusal says why', () => {
  fc.assert(
    fc.property(legalMessage, fc.array(edit, { minLength: 1, maxLength: 6 }), (meant, edits) => {
      let { text } = meant
      for (const { at, remove, insert } of edits) {
        const place = at % (text.length + 1)
        text = text.slice(0, place) + insert + text.slice(place + remove)
      }
      const message = parseMessage(text)
      const problem =
        message instanceof ParseProblem
          ? message
          : message instanceof Request
            ? checkRequest(message)
            : checkResponse(message as Response)
      if (problem === null) return
      assert.match(problem.code, /^SIP_[A-Z_]+$/)
      // Fit for a reason phrase: short, one line, nothing of what came in.
      assert.match(problem.reason, /^[ -~]{5,100}$/)
      assert.equal(problem.status === 0, problem.request === null)
    }),
    { numRuns: 1_000 },
  )
})
