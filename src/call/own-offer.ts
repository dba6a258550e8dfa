// An offer of our own to one side of a call that is up: a re-INVITE with its ACK, tried again after glare (RFC 3261 §14.1).

import { Timer, type TimerOwner } from '#core/clock.ts'
import type { FaultOwner } from '#core/fault-scope.ts'
import { uniform } from '#core/random.ts'
import type { Response } from '#sip/message.ts'
import type { Session } from '#sip/session.ts'
import type { SipStack } from '#sip/stack.ts'
import { TRANSACTION_TIMEOUT } from '#sip/timers.ts'
import type { NoResponse, UserAgentClient, UserAgentClientUser } from '#sip/user-agent-client.ts'

/** Trials before the offer is given up: the other side always has one of its own under way. */
const TRIES_MAX = 6
/** While the session has an exchange of its own, it is looked at this often. */
const BUSY_LOOK_MS = 500

/** Who made the offer. Exactly one of the two is called, once, unless it is cancelled. */
export interface OwnOfferUser extends FaultOwner {
  /** The 2xx; it has been acknowledged. */
  onOfferAnswered(offer: OwnOffer, response: Response): void
  onOfferFailed(offer: OwnOffer): void
}

export class OwnOffer implements UserAgentClientUser, TimerOwner {
  readonly session: Session
  readonly #stack: SipStack
  readonly #body: string
  readonly #user: OwnOfferUser
  readonly #timer = new Timer(this)
  #client: UserAgentClient | null = null
  #tries = 0
  #done = false

  constructor(stack: SipStack, session: Session, body: string, user: OwnOfferUser) {
    this.#stack = stack
    this.session = session
    this.#body = body
    this.#user = user
  }

  start(): void {
    this.#tries += 1
    if (this.session.isEnded || this.#tries > TRIES_MAX) {
      this.#fail()
      return
    }
    if (this.session.isBusy) {
      this.#stack.clock.arm(this.#timer, 'again', BUSY_LOOK_MS)
      return
    }
    this.#client = this.session.send('INVITE', { contentType: 'application/sdp', body: this.#body }, this)
    this.#stack.clock.arm(this.#timer, 'unanswered', TRANSACTION_TIMEOUT)
  }

  /** The call is over. */
  cancel(): void {
    if (this.#done) return
    this.#finish()
    this.#client?.cancel('')
  }

  onResponse(client: UserAgentClient, response: Response): void {
    this.#stack.faults.active = this.#user
    const { status } = response
    if (status < 200) return
    if (this.#done || client !== this.#client) {
      // §13.2.2.4: every 2xx is acknowledged.
      if (status < 300 && !this.session.acknowledgeAgain(response)) {
        this.session.acknowledge(client.request.sequence, '', '')
      }
      return
    }
    this.session.concluded(client, response)
    if (status < 300) {
      this.session.acknowledge(client.request.sequence, '', '')
      this.#finish()
      this.#user.onOfferAnswered(this, response)
    } else if (status === 491 || status === 422 || status === 500) {
      // §14.1: the owner of the Call-ID waits 2.1–4 s, the other 0–2 s.
      const owns = this.session.dialog.ownsCallId
      const waitMs = (owns ? 2_100 : 0) + uniform(this.#stack.random, owns ? 191 : 201) * 10
      this.#client = null
      this.#stack.clock.arm(this.#timer, 'again', waitMs)
    } else this.#fail()
  }

  onNoResponse(client: UserAgentClient, _why: NoResponse): void {
    this.#stack.faults.active = this.#user
    if (this.#done) return
    this.session.concluded(client, null)
    this.#fail()
  }

  onTimer(name: string): void {
    this.#stack.faults.active = this.#user
    if (name === 'again') this.start()
    else this.#client?.cancel('')
  }

  #finish(): void {
    this.#done = true
    this.#stack.clock.cancel(this.#timer)
  }

  #fail(): void {
    this.#finish()
    this.#user.onOfferFailed(this)
  }
}
