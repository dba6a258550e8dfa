// Which header fields cross from one side of a call to the other: an allow list, so that no address of one side reaches the other.

import { HeaderId, headerName } from '#sip/header-id.ts'
import type { Message } from '#sip/message.ts'

const INVITE_FIELDS: ReadonlySet<HeaderId> = new Set([
  HeaderId.subject,
  HeaderId.priority,
  HeaderId.organization,
  HeaderId.date,
  HeaderId.accept,
  HeaderId.acceptEncoding,
  HeaderId.acceptLanguage,
  HeaderId.contentDisposition,
  HeaderId.contentEncoding,
  HeaderId.contentLanguage,
  HeaderId.mimeVersion,
  HeaderId.userToUser,
  HeaderId.pEarlyMedia,
  HeaderId.sessionId,
  HeaderId.resourcePriority,
  HeaderId.requestDisposition,
  HeaderId.recvInfo,
])

const RESPONSE_FIELDS: ReadonlySet<HeaderId> = new Set([
  HeaderId.contentDisposition,
  HeaderId.contentEncoding,
  HeaderId.contentLanguage,
  HeaderId.mimeVersion,
  HeaderId.userToUser,
  HeaderId.pEarlyMedia,
  HeaderId.sessionId,
  HeaderId.recvInfo,
  HeaderId.acceptEncoding,
  HeaderId.acceptLanguage,
])

const IN_DIALOG_FIELDS: ReadonlySet<HeaderId> = new Set([
  HeaderId.contentDisposition,
  HeaderId.contentEncoding,
  HeaderId.contentLanguage,
  HeaderId.mimeVersion,
  HeaderId.infoPackage,
  HeaderId.recvInfo,
  HeaderId.userToUser,
  HeaderId.pEarlyMedia,
  HeaderId.sessionId,
  HeaderId.subject,
  HeaderId.priority,
  HeaderId.date,
])

/** Complete lines of the fields of an INVITE that go on to the callee. */
export function invitePassOn(message: Message): string {
  return linesOf(message, INVITE_FIELDS)
}

/** Complete lines of the fields of a response that go on to the other side. */
export function responsePassOn(message: Message): string {
  return linesOf(message, RESPONSE_FIELDS)
}

/** Complete lines of the fields of a request within a dialog that go on to the other side. */
export function requestPassOn(message: Message): string {
  return linesOf(message, IN_DIALOG_FIELDS)
}

function linesOf(message: Message, fields: ReadonlySet<HeaderId>): string {
  let lines = ''
  for (let i = 0; i < message.headerCount; i += 1) {
    const id = message.headerIdOf(i)
    if (id !== HeaderId.other && fields.has(id)) lines += `${headerName(id)}: ${message.headerValueOf(i)}\r\n`
  }
  return lines
}
