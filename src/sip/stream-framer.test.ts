// Stream framing: RFC 3261 §18.3, RFC 5626 §3.5.1.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { type FrameSink, STREAM_HEADERS_OCTETS_MAX, StreamFramer } from '#sip/stream-framer.ts'

class Recorder implements FrameSink {
  readonly log: string[] = []
  request: string | null = null
  onFrame(text: string): void {
    this.log.push(text)
  }
  onPing(): void {
    this.log.push('ping')
  }
  onPong(): void {
    this.log.push('pong')
  }
  onFrameError(code: string, _reason: string, request: string | null): void {
    this.log.push(code)
    this.request = request
  }
}

const octets = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'))

function message(body: string, lengthLine = `Content-Length: ${body.length}`): string {
  return `MESSAGE sip:b@example.net SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\n${lengthLine}\r\nSubject: x\r\n\r\n${body}`
}

function framed(...chunks: string[]): Recorder {
  const recorder = new Recorder()
  const framer = new StreamFramer()
  for (const chunk of chunks) framer.push(octets(chunk), recorder)
  return recorder
}

test('messages are cut by Content-Length, in any of its spellings', () => {
  const texts = [
    message('hello'),
    message(''),
    message('a\r\n\r\nb', 'l: 6'),
    message('body', 'CONTENT-length \t: 0004'),
    message('body', 'Content-Length:\r\n 4'),
    message('body', 'Content-Length: 4\r\n\t\r\nl:4'),
  ]
  assert.deepEqual(framed(texts.join('')).log, texts)
})

test('a frame keeps every octet', () => {
  const all = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join('')
  assert.deepEqual(framed(message(all)).log, [message(all)])
})

test('an element MUST NOT read a message without Content-Length from a stream', () => {
  const bare = message('').replace('Content-Length: 0\r\n', '')
  const recorder = framed(bare, message('next'))
  assert.deepEqual(recorder.log, ['SIP_STREAM_NO_LENGTH'])
  assert.equal(recorder.request, bare)
})

test('a negative, garbled, huge or conflicting Content-Length ends the stream', () => {
  for (const line of [
    'Content-Length: -1',
    'Content-Length: 1 2',
    'l:',
    'l: 3\r\nContent-Length: 4',
    'l: 99999999999',
  ]) {
    assert.deepEqual(framed(message('body', line), message('')).log, ['SIP_CONTENT_LENGTH'], line)
  }
})

test('a message above 65,535 octets is refused as soon as its header fields are read', () => {
  const recorder = framed(message('', 'Content-Length: 65500'))
  assert.deepEqual(recorder.log, ['SIP_STREAM_MESSAGE_MAX'])
  assert.match(recorder.request ?? '', /\r\n\r\n$/)
})

test('a header section that never ends is refused at its limit, with the complete lines before', () => {
  const recorder = new Recorder()
  const framer = new StreamFramer()
  framer.push(octets('OPTIONS sip:a@b SIP/2.0\r\nCall-ID: 1\r\nSubject: '), recorder)
  for (let i = 0; i < 40 && !framer.ended; i += 1) framer.push(octets('x'.repeat(1000)), recorder)
  assert.deepEqual(recorder.log, ['SIP_STREAM_HEADERS_MAX'])
  assert.equal(recorder.request, 'OPTIONS sip:a@b SIP/2.0\r\nCall-ID: 1\r\n\r\n')
  assert.ok(framer.waiting <= STREAM_HEADERS_OCTETS_MAX)
})

test('what is no SIP at all is refused on its first octet', () => {
  assert.deepEqual(framed('\x16\x03\x01').log, ['SIP_STREAM_NO_SIP'])
  assert.deepEqual(framed(message('x'), '\0').log, [message('x'), 'SIP_STREAM_NO_SIP'])
})

test('CRLF CRLF between messages is a ping, and each CRLF may be a pong', () => {
  assert.deepEqual(framed('\r\n\r\n').log, ['pong', 'pong', 'ping'])
  assert.deepEqual(framed('\r', '\n', '\r', '\n').log, ['pong', 'pong', 'ping'])
  assert.deepEqual(framed(`\r\n${message('a')}\r\n`).log, ['pong', message('a'), 'pong'])
  assert.deepEqual(framed('\r\n\r\n\r\n\r\n').log, ['pong', 'pong', 'ping', 'pong', 'pong', 'ping'])
})

test('waiting counts the octets of the unfinished message only', () => {
  const framer = new StreamFramer()
  const recorder = new Recorder()
  framer.push(octets(`${message('abc')}OPTI`), recorder)
  assert.equal(framer.waiting, 4)
  framer.push(
    octets(
      message('abc')
        .slice(0, -1)
        .replace(/^MESSAGE/, 'ONS'),
    ),
    recorder,
  )
  assert.ok(framer.waiting > 4)
  framer.push(octets('c\r'), recorder)
  assert.equal(framer.waiting, 1)
  framer.push(octets('\n'), recorder)
  assert.equal(framer.waiting, 0)
})

test('the memory of a push may be used again by its owner', () => {
  const framer = new StreamFramer()
  const recorder = new Recorder()
  const text = message('hello world')
  for (let i = 0; i < text.length; i += 7) {
    const chunk = octets(text.slice(i, i + 7))
    framer.push(chunk, recorder)
    chunk.fill(88)
  }
  assert.deepEqual(recorder.log, [text])
})

test('a sink that ends the stream from within gets nothing more', () => {
  const framer = new StreamFramer()
  const recorder = new Recorder()
  recorder.onFrame = (text) => {
    recorder.log.push(text)
    framer.end()
  }
  framer.push(octets(message('1') + message('2')), recorder)
  framer.push(octets(message('3')), recorder)
  assert.deepEqual(recorder.log, [message('1')])
  assert.equal(framer.waiting, 0)
})

const piece = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 80 }).map((s) => message(Buffer.from(s).toString('latin1'))),
  fc.constantFrom(
    '\r\n',
    '\r\n\r\n',
    message('', 'Content-Length: 70000'),
    message('q', 'no-length: 1'),
    'junk\r\n\r\n',
    '\r',
  ),
)

test('any chunking of a stream gives the same frames', () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), fc.array(fc.nat(400), { maxLength: 40 }), (pieces, cuts) => {
      const stream = pieces.join('')
      const chunks: string[] = []
      let at = 0
      for (const cut of cuts) {
        chunks.push(stream.slice(at, at + cut))
        at += cut
      }
      chunks.push(stream.slice(at))
      const whole = framed(stream)
      const cutUp = framed(...chunks)
      assert.deepEqual(cutUp.log, whole.log)
      assert.equal(cutUp.request, whole.request)
      assert.deepEqual(framed(...stream).log, whole.log)
    }),
    { numRuns: 300 },
  )
})

test('a megabyte of pipelined messages in one push holds no more than one message', () => {
  const framer = new StreamFramer()
  const recorder = new Recorder()
  const text = message('x'.repeat(900))
  const count = Math.ceil(1_000_000 / text.length)
  framer.push(octets(`${text.repeat(count)}REG`), recorder)
  assert.equal(recorder.log.length, count)
  assert.equal(framer.waiting, 3)
})
