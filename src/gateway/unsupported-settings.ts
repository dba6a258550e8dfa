// What a command asks for and this gateway does not do: told in the reply and the log, in the words of the ng protocol.

import { flagText, type NgFlag } from '#ng/ng-flag.ts'
import type { NgSettings } from '#ng/ng-settings.ts'

/** Flags that nothing is done for. The others are obeyed, or say what is so anyway: ports that stay, keys of each side's own. */
const UNSUPPORTED_FLAGS: readonly NgFlag[] = [
  'allow-transcoding',
  'block-egress',
  'block-short-packets',
  'discard-recording',
  'early-media',
  'exclude-recording',
  'fragment',
  'full-rtcp-attribute',
  'generate-mid',
  'mirror',
  'nat-wait',
  'no-jitter-buffer',
  'pierce-nat',
  'reset',
  'reuse-codecs',
  'rtcp-mirror',
  'static-codecs',
]

/** Keys and flags of the settings that are understood and not done. Empty for most commands. */
export function unsupportedSettings(settings: NgSettings): string[] {
  const { sdes, dtmf, osrtp } = settings
  const found: string[] = []
  const tell = (asked: boolean, words: string): void => {
    if (asked) found.push(words)
  }
  for (const flag of UNSUPPORTED_FLAGS) tell(settings.flags.has(flag), flagText(flag))
  tell(settings.replace.has('zero-address'), 'replace=zero-address')
  tell(settings.ice === 'force-relay', 'ICE=force-relay')
  tell(settings.iceLite !== null, `ICE-lite=${settings.iceLite}`)
  tell(settings.dtlsFingerprint !== null && !/^sha-256$/i.test(settings.dtlsFingerprint), 'DTLS-fingerprint')
  tell(sdes.unencryptedSrtp === true, 'SDES=unencrypted_srtp')
  tell(sdes.unencryptedSrtcp === true, 'SDES=unencrypted_srtcp')
  tell(sdes.unauthenticatedSrtp === true, 'SDES=unauthenticated_srtp')
  tell(sdes.offererPreference.length > 0, 'SDES=offerer_pref')
  tell(sdes.lifetime, 'SDES=lifetime')
  tell(sdes.static, 'SDES=static')
  tell(osrtp.offer === 'legacy', 'OSRTP=offer-legacy')
  tell(osrtp.acceptLegacy, 'OSRTP=accept-legacy')
  tell(settings.codecs.ignore.length > 0, 'codec=ignore')
  for (const option of settings.t38) tell(true, `T.38=${option}`)
  // Digits are dropped then: what was to be hidden stays hidden.
  tell(dtmf.block !== null && dtmf.block !== 'off' && dtmf.block !== 'drop', `DTMF-security=${dtmf.block}`)
  tell(dtmf.trigger !== null || dtmf.triggerBlock !== null, 'DTMF-security-trigger')
  tell(dtmf.triggerEnd !== null || dtmf.triggerEndBlock !== null, 'DTMF-security-trigger-end')
  tell(dtmf.triggerEndMs !== null, 'trigger-end-time')
  tell(dtmf.triggerEndDigits !== null, 'trigger-end-digits')
  tell(dtmf.delayMs !== null, 'DTMF-delay')
  tell(dtmf.logDestination !== null, 'dtmf-log-dest')
  tell(settings.generateRtcp !== null, 'generate-RTCP')
  tell(settings.passthrough !== null, 'passthrough')
  tell(settings.metadata !== null, 'metadata')
  tell(settings.audioPlayer === 'transcoding' || settings.audioPlayer === 'always', 'audio-player')
  tell(settings.delayBufferMs !== null && settings.delayBufferMs > 0, 'delay-buffer')
  tell(settings.xmlrpcCallback !== null, 'xmlrpc-callback')
  return found
}
