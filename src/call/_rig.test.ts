// A call with its caller and its callees played by the test: real transactions over fake ports, and a host that keeps accounts.

import assert from 'node:assert/strict'
import { Call } from '#call/call.ts'
import type {
  CalleeTarget,
  CallFacts,
  CallHost,
  CallImage,
  CallPlan,
  CallRefusal,
  CallSummary,
  CdrFacts,
  KeptCall,
  Stage,
} from '#call/call-host.ts'
import type { Endpoint } from '#core/net.ts'
import { END_TO_END_MEDIA, type MediaPort } from '#media/media-port.ts'
import { endpoint } from '#sip/_fake-ports.ts'
import {
  nameOf,
  parseRequest,
  parseResponse,
  type RequestParts,
  type ResponseParts,
  requestText,
  responseText,
  SDP,
  StackRig,
} from '#sip/_rig.test.ts'
import { InviteServerTransaction } from '#sip/invite-server-transaction.ts'
import type { Request, Response } from '#sip/message.ts'
import type { NameAddr } from '#sip/name-addr.ts'
import type { ServerTransaction } from '#sip/server-transaction.ts'
import type { Session, SessionTable } from '#sip/session.ts'

export const CALLER_HOST = '192.0.2.3'
export const CALLER_CALL_ID = 'secret-call-id'
export const CALLER_TAG = 'secret-caller-tag'

/** One far side: what it got, and what it says. */
export class Far {
  readonly host: string
  readonly all: string[] = []
  readonly #rig: CallRig
  #new: string[] = []
  #sequence = 1_000
  #branch = 0
  /** Our tag and the far side's in requests within the dialog: set by what was seen last. */
  to = ''
  from = ''
  callId = ''

  constructor(rig: CallRig, host: string) {
    this.#rig = rig
    this.host = host
  }

  arrive(text: string): void {
    this.all.push(text)
    this.#new.push(text)
  }

  /** What came since the last look. */
  texts(): string[] {
    this.#rig.flush()
    return this.#new.splice(0)
  }

  names(): string[] {
    return this.texts().map(nameOf)
  }

  /** The one message that came since the last look. */
  only(): string {
    const texts = this.texts()
    assert.equal(texts.length, 1, texts.map(nameOf).join(' '))
    return texts[0] ?? ''
  }

  request(): Request {
    return parseRequest(this.only())
  }

  response(): Response {
    return parseResponse(this.only())
  }

  send(text: string): void {
    this.#rig.receive(text, endpoint(this.host, 5060))
  }

  /** Answers a request that came. */
  reply(to: Request, status: number, parts: ResponseParts = {}): void {
    const tag = parts.toTag ?? `tag-of-${this.host}`
    if (to.method === 'INVITE' && to.to.tag === null) this.#enter(to, tag)
    this.send(responseText(to, status, { contact: `<sip:far@${this.host}:5060>`, ...parts, toTag: tag }))
  }

  #enter(invite: Request, tag: string): void {
    this.callId = invite.callId
    this.to = invite.from.text
    this.from = `${invite.to.text};tag=${tag}`
  }

  /** The caller's view of the dialog that a response made. */
  joined(response: Response): void {
    this.callId = response.callId
    this.to = response.to.text
    this.from = response.from.text
  }

  /** Sends a request within the dialog. Answers its CSeq number. */
  ask(method: string, parts: RequestParts = {}): number {
    const sequence = parts.sequence ?? ++this.#sequence
    this.#branch += 1
    const via = `SIP/2.0/UDP ${this.host}:5060;rport;branch=z9hG4bKfar${this.host}-${this.#branch}`
    const { to, from, callId } = this
    const contact = `<sip:far@${this.host}:5060>`
    this.send(requestText(method, { via, to, from, callId, contact, ...parts, sequence }))
    return sequence
  }
}

export interface RigOptions {
  readonly stages?: readonly (readonly number[])[]
  readonly trunks?: boolean
  readonly facts?: Partial<CallFacts>
  readonly media?: MediaPort
  readonly seed?: number
  /** Channels of each trunk group. */
  readonly channels?: number
  /** Refuses instead of sending the call on. */
  readonly refusal?: CallRefusal
  /** Changes each target. */
  readonly target?: (target: CalleeTarget, rig: CallRig) => CalleeTarget
  readonly planRedirect?: (contacts: readonly NameAddr[]) => CallPlan | null
}

export class CallRig extends StackRig implements CallHost, SessionTable {
  readonly sessions: SessionTable = this
  readonly media: MediaPort
  readonly records: CdrFacts[] = []
  readonly ended: CallSummary[] = []
  readonly seized = new Map<string, number>()
  readonly kept = new Map<string, CallImage | null>()
  readonly caller = new Far(this, CALLER_HOST)
  readonly callees: readonly Far[]
  call: Call | null = null
  readonly #table = new Map<string, Session>()
  readonly #options: RigOptions
  #seen = 0

  constructor(options: RigOptions = {}) {
    super(options.seed)
    this.#options = options
    this.media = options.media ?? END_TO_END_MEDIA
    this.callees = [0, 1, 2, 3].map((index) => new Far(this, `192.0.2.1${index + 1}`))
    this.answer = (transaction) => this.#take(transaction)
    this.onEachAck = (ack) => this.#find(ack)?.receiveAck(ack)
  }

  /** Callee `index`, counted from 0. */
  callee(index: number): Far {
    const callee = this.callees[index]
    assert.ok(callee !== undefined)
    return callee
  }

  /** The caller invites; the branch of the INVITE is fixed. */
  invite(parts: RequestParts = { sdp: SDP }): void {
    const via = `SIP/2.0/UDP ${CALLER_HOST}:5060;rport;branch=z9hG4bKsecret`
    this.caller.send(
      requestText('INVITE', {
        via,
        from: `"Alice" <sip:alice@${CALLER_HOST}>;tag=${CALLER_TAG}`,
        callId: CALLER_CALL_ID,
        contact: `<sip:alice@${CALLER_HOST}:5060>`,
        ...parts,
      }),
    )
  }

  /** The caller takes it back. */
  cancel(headers = ''): void {
    const via = `SIP/2.0/UDP ${CALLER_HOST}:5060;rport;branch=z9hG4bKsecret`
    const from = `"Alice" <sip:alice@${CALLER_HOST}>;tag=${CALLER_TAG}`
    this.caller.send(requestText('CANCEL', { via, from, callId: CALLER_CALL_ID, contact: null, headers }))
  }

  /** The ACK for a refusal, in the transaction of the INVITE. */
  ackRefusal(): void {
    const via = `SIP/2.0/UDP ${CALLER_HOST}:5060;rport;branch=z9hG4bKsecret`
    const from = `"Alice" <sip:alice@${CALLER_HOST}>;tag=${CALLER_TAG}`
    this.caller.send(requestText('ACK', { via, from, callId: CALLER_CALL_ID, contact: null }))
  }

  /** Invites, and callee 0 answers: a call that is up, with everything looked at. */
  connect(parts: { readonly caller?: RequestParts; readonly callee?: ResponseParts } = {}): this {
    this.invite(parts.caller)
    const invite = this.callee(0).request()
    this.callee(0).reply(invite, 200, { sdp: SDP, ...parts.callee })
    const okay = this.caller
      .texts()
      .map(parseResponse)
      .find((response) => response.status === 200)
    assert.ok(okay !== undefined, 'the caller got the answer')
    this.caller.joined(okay)
    this.caller.ask('ACK', { sequence: 1 })
    for (const far of this.callees) far.texts()
    return this
  }

  /** Delivers what was sent. */
  flush(): void {
    const socket = this.ports.net.sockets[0]
    assert.ok(socket !== undefined)
    for (; this.#seen < socket.sent.length; this.#seen += 1) {
      const sent: { readonly text: string; readonly to: Endpoint } | undefined = socket.sent[this.#seen]
      if (sent === undefined) continue
      const far: Far | undefined = [this.caller, ...this.callees].find(({ host }) => host === sent.to.host)
      assert.ok(far !== undefined, `sent to ${sent.to.host}`)
      far.arrive(sent.text)
    }
  }

  /** Final statuses that the caller's INVITE got, retransmissions left out. */
  finals(): number[] {
    this.flush()
    const texts = new Set(this.caller.all.filter((text) => text.startsWith('SIP/')))
    return [...texts]
      .map(parseResponse)
      .filter(({ cseq, status }) => cseq.method === 'INVITE' && cseq.number === 1 && status >= 200)
      .map(({ status }) => status)
  }

  recordTypes(): string {
    return this.records.map(({ type }) => type).join(' ')
  }

  /** The last record. */
  get last(): CdrFacts {
    const record = this.records.at(-1)
    assert.ok(record !== undefined)
    return record
  }

  get sessionCount(): number {
    return this.#table.size
  }

  /** Lets time pass, and checks what holds at the end of every call. */
  assertOver(): void {
    this.clock.pass(300_000)
    this.flush()
    this.assertIdle()
    assert.equal(this.#table.size, 0, 'sessions left')
    assert.equal(this.ended.length, 1, 'ended once')
    assert.match(this.recordTypes(), /^(?:ATTEMPT|START (?:INTERMEDIATE )*STOP)$/)
    for (const [name, count] of this.seized) assert.equal(count, 0, `channels of ${name}`)
    assert.equal(this.finals().length, 1, `final responses: ${this.finals().join(' ')}`)
    assert.equal(this.call?.state, 'released')
    this.assertNoLeak()
  }

  /** Nothing of one side stands in a header field to the other. */
  assertNoLeak(): void {
    this.flush()
    for (const callee of this.callees) {
      for (const text of callee.all) {
        const head = text.slice(0, text.indexOf('\r\n\r\n'))
        assert.doesNotMatch(head, /192\.0\.2\.3\b|secret/, head)
      }
    }
    for (const text of this.caller.all) {
      const head = text.slice(0, text.indexOf('\r\n\r\n'))
      assert.doesNotMatch(head, /192\.0\.2\.1[1-4]|tag-of|fork/, head)
      for (const callee of this.callees) {
        if (callee.callId !== '') assert.ok(!head.includes(callee.callId), 'Call-ID of the other side')
      }
    }
  }

  // ── The host ──────────────────────────────────────────────────────────────────────────────────────────────────

  add(session: Session): void {
    this.#table.set(`${session.dialog.localTag} ${session.dialog.remoteTag}`, session)
  }

  remove(session: Session): void {
    const key = `${session.dialog.localTag} ${session.dialog.remoteTag}`
    if (this.#table.get(key) === session) this.#table.delete(key)
  }

  keep(callId: string, call: KeptCall): void {
    this.kept.set(callId, call.image())
  }

  keepRecord(record: CdrFacts): void {
    this.kept.delete(record.callId)
  }

  forget(callId: string): void {
    this.kept.delete(callId)
  }

  seizeTrunk(name: string): boolean {
    const count = this.seized.get(name) ?? 0
    if (count >= (this.#options.channels ?? 10)) return false
    this.seized.set(name, count + 1)
    return true
  }

  releaseTrunk(name: string): void {
    this.seized.set(name, (this.seized.get(name) ?? 0) - 1)
  }

  planRedirect(_call: unknown, contacts: readonly NameAddr[]): CallPlan | null {
    return this.#options.planRedirect?.(contacts) ?? null
  }

  writeRecord(facts: CdrFacts): void {
    this.records.push(structuredClone(facts))
  }

  onCallEnded(_call: unknown, summary: CallSummary): void {
    this.ended.push(summary)
  }

  plan(stages: readonly (readonly number[])[]): CallPlan {
    return {
      stages: stages.map((indexes): Stage => indexes.map((index) => this.#target(index))),
      noAnswerMs: 60_000,
      calledNumber: '1002',
      callee: 'sip:1002@example.net',
      translations: [],
    }
  }

  #target(index: number): CalleeTarget {
    const uri = `sip:bob@192.0.2.1${index + 1}:5060`
    const target: CalleeTarget = {
      uriText: uri,
      to: '<sip:1002@example.net>',
      routes: '',
      flow: null,
      nextHop: uri,
      trunkGroup: this.#options.trunks === true ? `trunk${index}` : null,
      label: `callee ${index}`,
    }
    return this.#options.target?.(target, this) ?? target
  }

  #take(transaction: ServerTransaction): void {
    if (transaction.request.to.tag !== null) {
      const session = this.#find(transaction.request)
      if (session === null) transaction.respond(481)
      else session.receive(transaction)
      return
    }
    assert.ok(transaction instanceof InviteServerTransaction, 'a new request that is no INVITE')
    this.call = Call.invited(this, { ...FACTS, ...this.#options.facts }, transaction)
    if (this.#options.refusal !== undefined) this.call.refuse(this.#options.refusal)
    else this.call.start(this.plan(this.#options.stages ?? [[0]]))
  }

  #find(request: Request): Session | null {
    const session = this.#table.get(`${request.to.tag} ${request.from.tag}`)
    return session === undefined || session.dialog.callId !== request.callId ? null : session
  }
}

const FACTS: CallFacts = {
  caller: {
    user: '1001',
    displayName: 'Alice',
    assertedName: 'Alice',
    asserted: true,
    restricted: false,
    number: '1001',
  },
  callerName: 'sip:1001@example.net',
  ingressTrunkGroup: null,
  pinCaller: true,
  configVersion: '1',
  domain: 'example.net',
  userAgent: 'Carillon',
  sessionTimer: { sessionExpiresS: 1_800, minSeS: 90 },
  durationMaxMs: 7_200_000,
  intermediateMs: 0,
  redirects: 'follow',
  redirectsMax: 2,
  loopMark: '.mark',
  maxForwards: 68,
}
