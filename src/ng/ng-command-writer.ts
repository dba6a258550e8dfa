// A dictionary out of a typed command, in the spellings that rtpengine 10.5 reads.

import { NG_PARTICIPANT, type NgCommand, type NgParticipant } from '#ng/ng-command.ts'
import { flagText, type NgFlag } from '#ng/ng-flag.ts'
import type { NgSdes, NgSettings } from '#ng/ng-settings.ts'
import type { NgDictionary, NgValue } from '#ng/ng-value.ts'

/** The dictionary of `command`. What is as by default is left out. */
export function writeNgCommand(command: NgCommand): NgDictionary {
  const to: Record<string, NgValue> = { command: command.command }
  if ('callId' in command) writeParticipant(command, to)
  const flags: string[] = []
  if ('settings' in command) writeSettings(command.settings, flags, to)
  switch (command.command) {
    case 'offer':
    case 'answer':
    case 'publish':
    case 'subscribe request':
    case 'subscribe answer':
      put(to, 'sdp', command.sdp)
      break
    case 'delete':
      put(to, 'delete-delay', command.deleteDelayS)
      if (command.fatal) flags.push('fatal')
      break
    case 'list':
      to['limit'] = command.limit
      break
    case 'start recording':
    case 'stop recording':
    case 'pause recording':
      put(to, 'output-destination', command.outputDestination)
      put(to, 'metadata', command.metadata)
      break
    case 'play media':
      if (command.source.kind === 'file') to['file'] = command.source.name
      else if (command.source.kind === 'blob') to['blob'] = command.source.octets
      else to['db-id'] = command.source.row
      to['repeat-times'] = command.repeatTimes
      put(to, 'repeat-duration', command.repeatDurationMs)
      if (command.startPositionMs > 0) to['start-pos'] = command.startPositionMs
      break
    case 'play DTMF':
      to['code'] = command.digit
      to['duration'] = command.durationMs
      to['pause'] = command.pauseMs
      to['volume'] = command.volumeDb
      break
  }
  // rtpengine 10.5 knows the flag alone; later ones both.
  if ('all' in command && command.all === 'all') flags.push('all')
  else if ('all' in command && command.all !== 'none') to['all'] = command.all
  putList(to, 'flags', flags)
  return to
}

function writeParticipant(participant: NgParticipant, to: Record<string, NgValue>): void {
  const { callId, fromTag, toTag, viaBranch, label, toLabel, setLabel, address, fromTags } = participant
  if (callId !== NG_PARTICIPANT.callId) to['call-id'] = callId
  put(to, 'from-tag', fromTag)
  put(to, 'to-tag', toTag)
  put(to, 'via-branch', viaBranch)
  put(to, 'label', label)
  put(to, 'to-label', toLabel)
  put(to, 'set-label', setLabel)
  put(to, 'address', address)
  putList(to, 'from-tags', fromTags)
}

function writeSettings(settings: NgSettings, flags: string[], to: Record<string, NgValue>): void {
  for (const flag of settings.flags) if (flag !== 'fatal') flags.push(flagText(flag satisfies NgFlag))
  if (settings.passthrough !== null) flags.push(settings.passthrough ? 'passthrough' : 'no-passthrough')
  put(to, 'interface', settings.interface)
  put(to, 'address-family', settings.addressFamily)
  put(to, 'ICE', settings.ice)
  put(to, 'ICE-lite', settings.iceLite)
  put(to, 'transport-protocol', settings.transportProtocol)
  put(to, 'DTLS', settings.dtls)
  put(to, 'DTLS-reverse', settings.dtlsReverse)
  put(to, 'DTLS-fingerprint', settings.dtlsFingerprint)
  put(to, 'ptime', settings.ptimeMs)
  put(to, 'ptime-reverse', settings.ptimeReverseMs)
  put(to, 'generate-RTCP', onOff(settings.generateRtcp))
  put(to, 'record-call', onOff(settings.recordCall))
  put(to, 'output-destination', settings.outputDestination)
  put(to, 'metadata', settings.metadata)
  put(to, 'media-echo', settings.mediaEcho)
  put(to, 'drop-traffic', settings.dropTraffic)
  put(to, 'TOS', settings.tos)
  put(to, 'media-address', settings.mediaAddress)
  put(to, 'endpoint-learning', settings.endpointLearning)
  put(to, 'audio-player', settings.audioPlayer)
  put(to, 'delay-buffer', settings.delayBufferMs)
  put(to, 'xmlrpc-callback', settings.xmlrpcCallback)
  const { receivedFrom } = settings
  if (receivedFrom !== null) to['received-from'] = [receivedFrom.includes(':') ? 'IP6' : 'IP4', receivedFrom]
  putList(to, 'direction', settings.direction ?? [])
  putList(to, 'replace', [...settings.replace])
  putList(to, 'rtcp-mux', [...settings.rtcpMux])
  putList(to, 'T.38', [...settings.t38])
  putList(to, 'supports', settings.supports)
  putList(to, 'SDES', sdesTexts(settings.sdes))
  const { offer, acceptRfc, acceptLegacy } = settings.osrtp
  const osrtp: string[] = offer === null ? [] : [offer === 'rfc' ? 'offer' : 'offer-legacy']
  if (acceptRfc && acceptLegacy) osrtp.push('accept')
  else if (acceptRfc || acceptLegacy) osrtp.push(acceptRfc ? 'accept-RFC' : 'accept-legacy')
  putList(to, 'OSRTP', osrtp)
  const codec: Record<string, NgValue> = {}
  for (const [word, names] of Object.entries(settings.codecs)) putList(codec, word, names)
  if (Object.keys(codec).length > 0) to['codec'] = codec
  writeDtmf(settings, to)
  writeAttributes(settings, to)
}

function writeDtmf({ dtmf }: NgSettings, to: Record<string, NgValue>): void {
  const block = (word: string | null): string | null => (word === 'dtmf' ? 'DTMF' : word)
  put(to, 'DTMF-security', block(dtmf.block))
  put(to, 'trigger', dtmf.trigger)
  put(to, 'DTMF-security-trigger', block(dtmf.triggerBlock))
  put(to, 'trigger-end', dtmf.triggerEnd)
  put(to, 'DTMF-security-trigger-end', block(dtmf.triggerEndBlock))
  put(to, 'trigger-end-time', dtmf.triggerEndMs)
  put(to, 'trigger-end-digits', dtmf.triggerEndDigits)
  put(to, 'digit', dtmf.digit)
  if (dtmf.frequencies.length > 0) to['frequencies'] = dtmf.frequencies
  put(to, 'volume', dtmf.volumeDb)
  put(to, 'DTMF-delay', dtmf.delayMs)
  put(to, 'DTMF-log-dest', dtmf.logDestination)
}

function writeAttributes({ attributes }: NgSettings, to: Record<string, NgValue>): void {
  const scopes: Record<string, NgValue> = {}
  for (const [scope, changes] of Object.entries(attributes)) {
    const { add, remove, substitute } = changes
    const entry: Record<string, NgValue> = {}
    putList(entry, 'add', add)
    putList(entry, 'remove', remove)
    if (substitute.length > 0) entry['substitute'] = substitute
    scopes[scope] = entry
  }
  if (Object.keys(scopes).length > 0) to['sdp-attr'] = scopes
}

function sdesTexts(sdes: NgSdes): string[] {
  const texts: string[] = []
  if (sdes.off) texts.push('off')
  if (sdes.unencryptedSrtp !== null) texts.push(sdes.unencryptedSrtp ? 'unencrypted_srtp' : 'encrypted_srtp')
  if (sdes.unencryptedSrtcp !== null) texts.push(sdes.unencryptedSrtcp ? 'unencrypted_srtcp' : 'encrypted_srtcp')
  if (sdes.unauthenticatedSrtp !== null) {
    texts.push(sdes.unauthenticatedSrtp ? 'unauthenticated_srtp' : 'authenticated_srtp')
  }
  for (const suite of sdes.no) texts.push(`no-${suite}`)
  for (const suite of sdes.only) texts.push(`only-${suite}`)
  if (sdes.order.length > 0) texts.push(`order:${sdes.order.join(';')};`)
  if (sdes.offererPreference.length > 0) texts.push(`offerer_pref:${sdes.offererPreference.join(';')};`)
  if (sdes.noNew) texts.push('nonew')
  if (sdes.pad) texts.push('pad')
  if (sdes.lifetime) texts.push('lifetime')
  if (sdes.static) texts.push('static')
  return texts
}

function onOff(value: boolean | null): string | null {
  return value === null ? null : value ? 'on' : 'off'
}

function put(to: Record<string, NgValue>, key: string, value: string | number | null): void {
  if (value !== null) to[key] = value
}

function putList(to: Record<string, NgValue>, key: string, list: readonly string[]): void {
  if (list.length > 0) to[key] = list
}
