// The dialogs of one switch, found by the tags of a request (RFC 3261 §12.2.2): both are needed, for forks share ours.

import type { Request } from '#sip/message.ts'
import type { Session, SessionTable } from '#sip/session.ts'

export class SessionIndex implements SessionTable {
  readonly #sessions = new Map<string, Session>()

  add(session: Session): void {
    this.#sessions.set(keyOf(session), session)
  }

  remove(session: Session): void {
    const key = keyOf(session)
    if (this.#sessions.get(key) === session) this.#sessions.delete(key)
  }

  /** The session of a request with a To tag; null when there is none, or its Call-ID differs. */
  find(request: Request): Session | null {
    const session = this.#sessions.get(`${request.to.tag ?? ''} ${request.from.tag ?? ''}`)
    return session === undefined || session.dialog.callId !== request.callId ? null : session
  }

  get size(): number {
    return this.#sessions.size
  }
}

function keyOf(session: Session): string {
  return `${session.dialog.localTag} ${session.dialog.remoteTag}`
}
