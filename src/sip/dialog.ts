// Dialogs: RFC 3261 §12.

import { assert } from '#core/assert.ts'
import type { Endpoint } from '#core/net.ts'
import type { Flow, TransportName } from '#sip/flow.ts'
import { HeaderId } from '#sip/header-id.ts'
import type { Message, Request, Response } from '#sip/message.ts'
import { parseNameAddr } from '#sip/name-addr.ts'
import { OutgoingRequest } from '#sip/outgoing-request.ts'
import { parseUri, type Uri } from '#sip/uri.ts'

/** Route set entries taken from one message. */
export const ROUTES_MAX = 16

type State = 'early' | 'confirmed' | 'terminated'
const NEXT: Readonly<Record<State, readonly State[]>> = {
  early: ['confirmed', 'terminated'],
  confirmed: ['terminated'],
  terminated: [],
}

/** What a dialog is made of (§12). Plain data. */
export interface DialogParts {
  readonly callId: string
  readonly ownsCallId: boolean
  readonly localTag: string
  readonly remoteTag: string
  readonly localAddress: string
  readonly remoteAddress: string
  readonly routeSet: readonly string[]
  readonly remoteTarget: string
  readonly localSequence: number
  readonly remoteSequence: number
}

/** A confirmed dialog written down. */
export interface DialogImage extends DialogParts {
  /** The path that the peer came on; null when its requests go by RFC 3263. */
  readonly path: { readonly transport: TransportName; readonly local: Endpoint; readonly remote: Endpoint } | null
}

/** CSeq numbers that may have been used after a dialog was written down, and are skipped when it is taken up again. */
const SEQUENCE_LEAP = 1_000

export class Dialog {
  state: State = 'early'
  readonly callId: string
  /** Whether we made the Call-ID: it decides the back-off after a 491 (§14.1). */
  readonly ownsCallId: boolean
  readonly localTag: string
  readonly remoteTag: string
  /** Our From value with tag, in requests that we send. */
  readonly localAddress: string
  /** The peer's, our To value. */
  readonly remoteAddress: string
  /** Route elements in the order of sending, each '<…>' (§12.1). Frozen once the dialog is confirmed (§12.2: never refreshed). */
  routeSet: readonly string[]
  /** Request-URI of our requests: the peer's Contact (§12.2.1.1 target refresh). */
  remoteTarget: string
  localSequence: number
  /** -1 until the peer has sent a request. */
  remoteSequence: number
  /** Where requests go regardless of `remoteTarget`: the path that the peer came on (NAT, connection reuse); null: by RFC 3263. */
  flow: Flow | null = null
  /** Whether requests belong on the path that the peer comes on, also while there is none. */
  isPinned = false

  constructor(parts: DialogParts) {
    this.callId = parts.callId
    this.ownsCallId = parts.ownsCallId
    this.localTag = parts.localTag
    this.remoteTag = parts.remoteTag
    this.localAddress = parts.localAddress
    this.remoteAddress = parts.remoteAddress
    this.routeSet = parts.routeSet
    this.remoteTarget = parts.remoteTarget
    this.localSequence = parts.localSequence
    this.remoteSequence = parts.remoteSequence
  }

  /** The dialog of a UAS (§12.1.1), made when it answers with `localTag`. `localSequence` is what our first request counts from. */
  static fromRequest(request: Request, localTag: string, localSequence: number): Dialog {
    return new Dialog({
      callId: request.callId,
      ownsCallId: false,
      localTag,
      remoteTag: request.from.tag ?? '',
      localAddress: `${request.header(HeaderId.to) ?? ''};tag=${localTag}`,
      remoteAddress: request.header(HeaderId.from) ?? '',
      routeSet: recordRoutes(request),
      remoteTarget: contactOf(request) ?? request.from.uri.text,
      localSequence,
      remoteSequence: request.cseq.number,
    })
  }

  /** The dialog of a UAC (§12.1.2), from the first response with a To tag. */
  static fromResponse(request: OutgoingRequest, localTag: string, response: Response): Dialog {
    return new Dialog({
      callId: request.callId,
      ownsCallId: true,
      localTag,
      remoteTag: response.to.tag ?? '',
      localAddress: request.from,
      remoteAddress: response.header(HeaderId.to) ?? '',
      routeSet: recordRoutes(response).reverse(),
      remoteTarget: contactOf(response) ?? request.uriText,
      localSequence: request.sequence,
      remoteSequence: -1,
    })
  }

  /** The dialog of a 2xx whose request is forgotten: what the response repeats of it is enough to end it. */
  static fromStrayResponse(response: Response): Dialog {
    return new Dialog({
      callId: response.callId,
      ownsCallId: true,
      localTag: response.from.tag ?? '',
      remoteTag: response.to.tag ?? '',
      localAddress: response.header(HeaderId.from) ?? '',
      remoteAddress: response.header(HeaderId.to) ?? '',
      routeSet: recordRoutes(response).reverse(),
      remoteTarget: contactOf(response) ?? response.to.uri.text,
      localSequence: response.cseq.number,
      remoteSequence: -1,
    })
  }

  /** A confirmed dialog of an earlier process. Its path is found again by {@link pin}. */
  static fromImage(image: DialogImage): Dialog {
    const dialog = new Dialog({ ...image, localSequence: image.localSequence + SEQUENCE_LEAP })
    dialog.isPinned = image.path !== null
    dialog.enter('confirmed')
    return dialog
  }

  /** All that another process needs to go on with it. */
  image(): DialogImage {
    const { callId, ownsCallId, localTag, remoteTag, localAddress, remoteAddress, routeSet, remoteTarget } = this
    const { localSequence, remoteSequence, flow } = this
    const path = flow === null ? null : { transport: flow.transport, local: flow.local, remote: flow.remote }
    return {
      callId,
      ownsCallId,
      localTag,
      remoteTag,
      localAddress,
      remoteAddress,
      routeSet,
      remoteTarget,
      localSequence,
      remoteSequence,
      path,
    }
  }

  /** Keeps requests on `flow`; null leaves them to RFC 3263. */
  pin(flow: Flow | null): void {
    this.flow = flow
    this.isPinned = flow !== null
  }

  enter(next: State): void {
    assert(NEXT[this.state].includes(next), `dialog ${this.state} -> ${next}`)
    this.state = next
  }

  /** §13.2.2.4: the 2xx recomputes the route set that an early response gave. */
  confirm(response: Response): void {
    if (this.state !== 'early') return
    this.routeSet = recordRoutes(response).reverse()
    this.refreshTarget(response)
    this.enter('confirmed')
  }

  /** Target refresh (§12.2.1.2, §12.2.2): takes the Contact of a re-INVITE or UPDATE, or of its 2xx. */
  refreshTarget(message: Message): void {
    const target = contactOf(message)
    if (target !== null && target !== this.remoteTarget) this.remoteTarget = target
  }

  /** Whether `number` is in order (§12.2.2), and takes it. The first request of the peer may have any. */
  acceptSequence(number: number): boolean {
    if (number < this.remoteSequence) return false
    this.remoteSequence = number
    return true
  }

  /** A new request within the dialog (§12.2.1.1). `sequence` is given for ACK (that of the INVITE); others count up. */
  request(
    method: string,
    parts: { headers?: string; contactUser?: string | null; contentType?: string; body?: string; sequence?: number },
  ): OutgoingRequest {
    if (parts.sequence === undefined) this.localSequence += 1
    const first = this.routeSet[0]
    let uriText = this.remoteTarget
    let routes = ''
    if (first !== undefined) {
      if (isLoose(first)) {
        for (const route of this.routeSet) routes += `Route: ${route}\r\n`
      } else {
        // §12.2.1.1: a strict router gets its own URI as Request-URI, and the target last.
        uriText = uriOf(first)
        for (const route of this.routeSet.slice(1)) routes += `Route: ${route}\r\n`
        routes += `Route: <${this.remoteTarget}>\r\n`
      }
    }
    return new OutgoingRequest({
      method,
      uriText,
      from: this.localAddress,
      to: this.remoteAddress,
      callId: this.callId,
      sequence: parts.sequence ?? this.localSequence,
      routes,
      headers: parts.headers ?? '',
      contactUser: parts.contactUser ?? null,
      contentType: parts.contentType ?? '',
      body: parts.body ?? '',
    })
  }

  /** Where requests go by §8.1.2: the first route, or the remote target. Null when it is no usable URI. */
  get nextHop(): Uri | null {
    const first = this.routeSet[0]
    return parseUri(first === undefined ? this.remoteTarget : uriOf(first))
  }
}

function recordRoutes(message: Message): string[] {
  const elements = message.nameAddrs(HeaderId.recordRoute) ?? []
  return elements.slice(0, ROUTES_MAX).map((element) => `<${element.uri.text}>${element.params}`)
}

/** The URI of the only Contact, or null. */
function contactOf(message: Message): string | null {
  const value = message.header(HeaderId.contact)
  if (value === null) return null
  const address = parseNameAddr(value)
  return address === null || !address.uri.isSip ? null : address.uri.text
}

function uriOf(route: string): string {
  return route.slice(1, route.indexOf('>'))
}

function isLoose(route: string): boolean {
  return parseUri(uriOf(route))?.isLoose === true
}
