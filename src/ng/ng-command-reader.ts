// A typed command out of a dictionary: what rtpengine's ng protocol documents, in all its spellings.

import type {
  NgAll,
  NgBlock,
  NgCommand,
  NgCommandName,
  NgParticipant,
  NgPlayMedia,
  NgRecording,
} from '#ng/ng-command.ts'
import { NgFields } from '#ng/ng-fields.ts'
import { plainName } from '#ng/ng-flag.ts'
import { NgProblem } from '#ng/ng-problem.ts'
import { NgSettingsReader } from '#ng/ng-settings-reader.ts'
import type { NgDictionary } from '#ng/ng-value.ts'

const LIST_LIMIT = 32
const LIST_LIMIT_MAX = 10_000
const DELAY_S_MAX = 86_400
const MS_MAX = 86_400_000
const DTMF_MS = { min: 100, max: 5_000, duration: 250, pause: 100 }
const DTMF_VOLUME_DB = -8
const EVENTS = '0123456789*#ABCD'
const ALL: readonly NgAll[] = ['none', 'all', 'offer-answer', 'except-offer-answer', 'flows']

const NAMES: readonly NgCommandName[] = [
  'ping',
  'offer',
  'answer',
  'publish',
  'subscribe request',
  'subscribe answer',
  'unsubscribe',
  'delete',
  'query',
  'list',
  'statistics',
  'start recording',
  'stop recording',
  'pause recording',
  'block DTMF',
  'unblock DTMF',
  'block media',
  'unblock media',
  'silence media',
  'unsilence media',
  'start forwarding',
  'stop forwarding',
  'play media',
  'stop media',
  'play DTMF',
]
const BY_PLAIN_NAME: ReadonlyMap<string, NgCommandName> = new Map(NAMES.map((name) => [plainName(name), name]))

/** The command that `dictionary` is, or what is missing or wrong with it. Unknown keys and flags are in `unknown`. */
export function readNgCommand(dictionary: NgDictionary): NgCommand | NgProblem {
  const fields = new NgFields(dictionary)
  const text = fields.text('command')
  if (text === null) return new NgProblem('NG_COMMAND_MISSING', 0, "no 'command' in the message")
  const name = BY_PLAIN_NAME.get(plainName(text))
  if (name === undefined) return new NgProblem('NG_COMMAND_UNKNOWN', 0, `unknown command '${text.slice(0, 40)}'`)
  const rest = new NgSettingsReader(fields)
  // These stand for the call's own keys before they could be settings.
  const own = ownFields(name, fields)
  const settings = rest.read()
  const participant = participantOf(fields, rest)
  const command = commandOf(name, { fields, own, rest, settings, participant })
  if (command instanceof NgProblem) return command
  return { ...command, unknown: fields.unknown() }
}

type Own = Readonly<Record<'sdp' | 'digit' | 'file' | 'blob', string | null>> &
  Readonly<Record<'row' | 'volume' | 'duration', number | null>>

interface Parts {
  readonly fields: NgFields
  readonly own: Own
  readonly rest: NgSettingsReader
  readonly settings: ReturnType<NgSettingsReader['read']>
  readonly participant: NgParticipant
}

type Without<T> = T extends unknown ? Omit<T, 'unknown'> : never

/** Keys that mean another thing in one command than in the settings. */
function ownFields(name: NgCommandName, fields: NgFields): Own {
  const plays = name === 'play DTMF'
  return {
    sdp: fields.text('sdp'),
    digit: plays ? fields.text('code', 'digit') : null,
    volume: plays ? fields.integer(-63, 63, 'volume') : null,
    duration: fields.integer(0, MS_MAX, 'duration'),
    file: name === 'play media' ? fields.text('file') : null,
    blob: name === 'play media' ? fields.text('blob') : null,
    row: name === 'play media' ? fields.integer(0, Number.MAX_SAFE_INTEGER, 'db-id') : null,
  }
}

function participantOf(fields: NgFields, rest: NgSettingsReader): NgParticipant {
  const all = fields.word(ALL, { yes: 'all', on: 'all', no: 'none', off: 'none' }, 'all')
  return {
    callId: fields.text('call-id') ?? '',
    fromTag: fields.text('from-tag'),
    toTag: fields.text('to-tag'),
    viaBranch: fields.text('via-branch'),
    label: fields.text('label', 'from-label'),
    toLabel: fields.text('to-label'),
    setLabel: fields.text('set-label'),
    address: fields.text('address'),
    all: rest.all ? 'all' : (all ?? 'none'),
    fromTags: [...fields.list('from-tags'), ...rest.fromTags],
  }
}

function commandOf(name: NgCommandName, parts: Parts): Without<NgCommand> | NgProblem {
  const { fields, own, settings, participant } = parts
  const { fromTag, toTag } = participant
  if (name === 'ping' || name === 'statistics') return { command: name }
  if (name === 'list') return { command: name, limit: fields.integer(1, LIST_LIMIT_MAX, 'limit') ?? LIST_LIMIT }
  if (participant.callId === '') return missing('call-id')
  switch (name) {
    case 'offer':
    case 'answer':
      if (own.sdp === null) return missing('sdp')
      if (fromTag === null) return missing('from-tag')
      if (name === 'answer' && toTag === null) return missing('to-tag')
      return { ...participant, command: name, fromTag, sdp: own.sdp, settings }
    case 'publish':
      if (own.sdp === null) return missing('sdp')
      if (fromTag === null) return missing('from-tag')
      return { ...participant, command: name, fromTag, sdp: own.sdp, settings }
    case 'subscribe request':
      return { ...participant, command: name, sdp: own.sdp, settings }
    case 'subscribe answer':
      if (own.sdp === null) return missing('sdp')
      if (toTag === null) return missing('to-tag')
      return { ...participant, command: name, toTag, sdp: own.sdp, settings }
    case 'unsubscribe':
      return toTag === null ? missing('to-tag') : { ...participant, command: name, toTag }
    case 'delete': {
      const deleteDelayS = fields.integer(0, DELAY_S_MAX, 'delete-delay')
      return { ...participant, command: name, deleteDelayS, fatal: settings.flags.has('fatal') }
    }
    case 'query':
    case 'stop media':
      return { ...participant, command: name }
    case 'start recording':
    case 'stop recording':
    case 'pause recording':
      return recordingOf(name, parts)
    case 'play media':
      return playMediaOf(parts)
    case 'play DTMF':
      return playDtmfOf(parts)
    default:
      return { ...participant, command: name satisfies NgBlock['command'], settings }
  }
}

function recordingOf(
  name: NgRecording['command'],
  { fields, rest, settings, participant }: Parts,
): Without<NgRecording> {
  const pauses = fields.toggle('pause') === true || rest.pause
  const command = name === 'stop recording' && pauses ? 'pause recording' : name
  const { outputDestination, metadata } = settings
  return { ...participant, command, outputDestination, metadata, settings }
}

function playMediaOf({ fields, own, settings, participant }: Parts): Without<NgPlayMedia> | NgProblem {
  const source = sourceOf(own)
  if (source === null) return missing('file')
  return {
    ...participant,
    command: 'play media',
    source,
    repeatTimes: fields.integer(0, 1_000_000, 'repeat-times') ?? 1,
    repeatDurationMs: fields.integer(0, MS_MAX, 'repeat-duration'),
    startPositionMs: fields.integer(0, MS_MAX, 'start-pos') ?? 0,
    settings,
  }
}

function sourceOf({ file, blob, row }: Own): NgPlayMedia['source'] | null {
  if (file !== null) return { kind: 'file', name: file }
  if (blob !== null) return { kind: 'blob', octets: blob }
  return row === null ? null : { kind: 'database', row }
}

function playDtmfOf({ fields, own, participant }: Parts): Without<NgCommand> | NgProblem {
  if (own.digit === null) return missing('code')
  // An event's number (RFC 4733 §3.2) or the digit itself: '5' is both and the same.
  const number = /^(?:1[0-5]|[0-9])$/.test(own.digit) ? Number(own.digit) : EVENTS.indexOf(own.digit.toUpperCase())
  const digit = own.digit.length === 0 || number < 0 ? '' : EVENTS.charAt(number)
  if (digit === '' || own.digit.length > 2) return new NgProblem('NG_KEY_WRONG', 0, "'code' is no DTMF digit")
  return {
    ...participant,
    command: 'play DTMF',
    digit,
    durationMs: within(own.duration ?? DTMF_MS.duration),
    pauseMs: within(fields.integer(0, MS_MAX, 'pause') ?? DTMF_MS.pause),
    volumeDb: own.volume === null ? DTMF_VOLUME_DB : own.volume === 0 ? 0 : -Math.abs(own.volume),
  }
}

function within(ms: number): number {
  return Math.min(DTMF_MS.max, Math.max(DTMF_MS.min, ms))
}

function missing(key: string): NgProblem {
  return new NgProblem('NG_KEY_MISSING', 0, `no '${key}' in the message`)
}
