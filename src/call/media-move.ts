// A call that is up on its way to another media gateway: each side is offered the new one's addresses by re-INVITE (RFC 3261 §14).

import { OwnOffer, type OwnOfferUser } from '#call/own-offer.ts'
import type { MediaSession, SessionDescription } from '#media/media-port.ts'
import type { Response } from '#sip/message.ts'
import type { Session } from '#sip/session.ts'
import type { SipStack } from '#sip/stack.ts'

/** Who owns the move: the call. One of the two is called, once, unless the move is cancelled. */
export interface MediaMoveOwner {
  onMoved(move: MediaMove): void
  onMoveFailed(move: MediaMove): void
  onFault(error: unknown): void
}

/**
 * The callee answers an offer made from the caller's last description; its answer becomes an offer to the caller. A caller
 * that answers otherwise than it last described itself has the gateway told once more.
 */
export class MediaMove implements OwnOfferUser {
  readonly #owner: MediaMoveOwner
  readonly #stack: SipStack
  readonly #media: MediaSession
  readonly #inbound: Session
  readonly #outbound: Session
  #caller: SessionDescription | null = null
  #callee: SessionDescription | null = null
  #offer: OwnOffer | null = null
  #done = false

  constructor(owner: MediaMoveOwner, stack: SipStack, media: MediaSession, inbound: Session, outbound: Session) {
    this.#owner = owner
    this.#stack = stack
    this.#media = media
    this.#inbound = inbound
    this.#outbound = outbound
  }

  start(): void {
    const caller = this.#media.last('caller')
    const callee = this.#media.last('callee')
    if (caller === null || callee === null) {
      this.#fail()
      return
    }
    this.#caller = { ...caller, branch: callee.branch, role: 'offer' }
    this.#callee = { ...callee, role: 'answer' }
    this.#pass(this.#caller, (body) => this.#ask(this.#outbound, body))
  }

  /** The call is over. */
  cancel(): void {
    this.#done = true
    this.#offer?.cancel()
  }

  onOfferAnswered(offer: OwnOffer, response: Response): void {
    const { session } = offer
    const { body } = response
    const caller = this.#caller
    const callee = this.#callee
    if (!response.hasSdp || caller === null || callee === null) {
      this.#fail()
    } else if (session === this.#outbound) {
      this.#callee = { ...callee, body }
      this.#pass(this.#callee, (offered) => this.#ask(this.#inbound, offered))
    } else if (mediaOf(body) === mediaOf(caller.body)) {
      this.#succeed()
    } else {
      this.#pass({ ...caller, body }, () => this.#pass(callee, () => this.#succeed()))
    }
  }

  onOfferFailed(): void {
    this.#fail()
  }

  onFault(error: unknown): void {
    this.#owner.onFault(error)
  }

  #ask(session: Session, body: string): void {
    this.#offer = new OwnOffer(this.#stack, session, body, this)
    this.#offer.start()
  }

  #pass(description: SessionDescription, go: (body: string) => void): void {
    this.#media.pass(
      description,
      (body) => {
        this.#stack.faults.active = this
        if (!this.#done) go(body)
      },
      () => {
        this.#stack.faults.active = this
        this.#fail()
      },
    )
  }

  #succeed(): void {
    if (this.#done) return
    this.#done = true
    this.#owner.onMoved(this)
  }

  #fail(): void {
    if (this.#done) return
    this.#done = true
    this.#owner.onMoveFailed(this)
  }
}

/** What of a description says where media goes and how: all but the lines that only name it (RFC 8866 §5.2–§5.4). */
export function mediaOf(body: string): string {
  return body.replace(/^[ost]=.*\r?\n/gm, '')
}
