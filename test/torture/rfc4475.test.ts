// The messages of RFC 4475 themselves, where they are at hand (beside the project, or where CARILLON_RFC4475 says).
// `src/sip/torture.test.ts` has cases of our own for the same sections.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type FrameSink, StreamFramer } from '#sip/stream-framer.ts'
import { classify } from '#test/torture/classify.ts'

const FOLDER =
  process.env['CARILLON_RFC4475'] ?? fileURLToPath(new URL('../../../shared/corpus/rfc4475', import.meta.url))

/**
 * What the message layer does with each. A message that is well-formed but asks for what a server may not do (unknown
 * schemes, extensions, bodies, methods) is accepted here: the switch answers it.
 */
const VERDICTS: Readonly<Record<string, string>> = {
  'wsinv.dat': 'accept',
  'intmeth.dat': 'accept',
  'esc01.dat': 'accept',
  'escnull.dat': 'accept',
  'esc02.dat': 'accept',
  'lwsdisp.dat': 'accept',
  'longreq.dat': 'accept',
  'dblreq.dat': 'accept',
  'semiuri.dat': 'accept',
  'transports.dat': 'accept',
  'mpart01.dat': 'accept',
  'unreason.dat': 'accept',
  'noreason.dat': 'accept',
  'badinv01.dat': 'answer 400 SIP_HEADER_MALFORMED',
  'clerr.dat': 'answer 400 SIP_CONTENT_LENGTH',
  'ncl.dat': 'answer 400 SIP_CONTENT_LENGTH',
  'scalar02.dat': 'answer 400 SIP_HEADER_MALFORMED',
  'scalarlg.dat': 'drop SIP_HEADER_MALFORMED',
  'quotbal.dat': 'answer 400 SIP_HEADER_MALFORMED',
  'ltgtruri.dat': 'answer 400 SIP_REQUEST_URI',
  'lwsruri.dat': 'answer 400 SIP_START_LINE',
  'lwsstart.dat': 'answer 400 SIP_START_LINE',
  'trws.dat': 'answer 400 SIP_START_LINE',
  'escruri.dat': 'answer 400 SIP_REQUEST_URI',
  'baddate.dat': 'accept',
  'regbadct.dat': 'answer 400 SIP_HEADER_MALFORMED',
  'badaspec.dat': 'answer 400 SIP_HEADER_MALFORMED',
  'baddn.dat': 'answer 400 SIP_HEADER_MALFORMED',
  'badvers.dat': 'answer 505 SIP_VERSION',
  'mismatch01.dat': 'answer 400 SIP_CSEQ_METHOD',
  'mismatch02.dat': 'answer 501 SIP_METHOD_UNKNOWN',
  'bigcode.dat': 'drop SIP_STATUS',
  'badbranch.dat': 'accept',
  'insuf.dat': 'answer 400 SIP_HEADER_MISSING',
  'unkscm.dat': 'accept',
  'novelsc.dat': 'accept',
  'unksm2.dat': 'accept',
  'bext01.dat': 'accept',
  'invut.dat': 'accept',
  'regaut01.dat': 'accept',
  'multi01.dat': 'answer 400 SIP_HEADER_REPEATED',
  'mcl01.dat': 'answer 400 SIP_HEADER_REPEATED',
  'bcast.dat': 'accept',
  'zeromf.dat': 'accept',
  'cparam01.dat': 'accept',
  'cparam02.dat': 'accept',
  'regescrt.dat': 'accept',
  'sdp01.dat': 'accept',
  'inv2543.dat': 'accept',
}

const present = existsSync(join(FOLDER, 'verdicts.tsv'))
const read = (file: string): string => readFileSync(join(FOLDER, file), 'latin1')

test('each message of RFC 4475 is judged as it says', { skip: !present }, async (t) => {
  const rows = read('verdicts.tsv').trim().split('\n').slice(1)
  assert.equal(rows.length, 49)
  for (const row of rows) {
    const [file = '', section = ''] = row.split('\t')
    await t.test(`§${section} ${file}`, () => {
      const verdict = classify(read(file))
      const words = [verdict.outcome, verdict.outcome === 'answer' ? verdict.status : '', verdict.code].filter(Boolean)
      assert.equal(words.join(' '), VERDICTS[file], verdict.reason)
    })
  }
})

test('over a stream, what cannot be framed ends the stream', { skip: !present }, () => {
  const outcome = (file: string): string => {
    const log: string[] = []
    const sink: FrameSink = {
      onFrame: () => log.push('frame'),
      onPing: () => log.push('ping'),
      onPong: () => log.push('pong'),
      onFrameError: (code) => log.push(code),
    }
    const framer = new StreamFramer()
    framer.push(Buffer.from(read(file), 'latin1'), sink)
    return [...log, framer.waiting > 0 ? 'waiting' : ''].filter(Boolean).join(' ')
  }
  assert.equal(outcome('clerr.dat'), 'waiting')
  assert.equal(outcome('ncl.dat'), 'SIP_CONTENT_LENGTH')
  assert.equal(outcome('mcl01.dat'), 'SIP_CONTENT_LENGTH')
  assert.equal(outcome('inv2543.dat'), 'SIP_STREAM_NO_LENGTH')
  assert.equal(outcome('mpart01.dat'), 'frame')
  assert.equal(outcome('dblreq.dat').split(' ')[0], 'frame')
})
