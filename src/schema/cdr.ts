// The call detail record: one a call and one an attempt, as the journal writes it and every later reader takes it.

import { type Static, type TProperties, type TSchema, Type } from 'typebox'
import type { DeepReadonly } from '#schema/deep-readonly.ts'

function record<P extends TProperties>(properties: P, description: string) {
  return Type.Object(properties, { additionalProperties: false, description })
}

function orNull<S extends TSchema>(schema: S, description: string) {
  return Type.Union([schema, Type.Null()], { description })
}

function wallMs(description: string) {
  return Type.Integer({ minimum: 0, description: `${description}, in milliseconds since 1970-01-01T00:00:00Z.` })
}

export const CdrType = Type.Enum(['START', 'STOP', 'ATTEMPT', 'INTERMEDIATE'], {
  description:
    'START: answered. INTERMEDIATE: still up, written at intervals. STOP: an answered call has ended. ATTEMPT: a call that ' +
    'was never answered. Every call has either one ATTEMPT, or one START and one STOP.',
})

export const CdrLeg = record(
  {
    side: Type.Enum(['caller', 'callee'], { description: 'Which side of the call.' }),
    callId: Type.String({ description: 'Call-ID of the SIP dialog of this leg.' }),
    localTag: Type.String({ description: 'Our tag of the dialog.' }),
    remoteTag: orNull(Type.String(), 'Tag of the other side, or null when none came.'),
    remote: Type.String({ description: 'Where its signalling came from or went to: `udp:192.0.2.30:5060`.' }),
  },
  'One SIP leg of the call.',
)

export const CdrRouteTried = record(
  {
    trunkGroup: orNull(Type.String(), "Trunk group, or null for a subscriber's telephones."),
    status: orNull(Type.Integer({ minimum: 100, maximum: 699 }), 'Final SIP status, or null when none came.'),
    cause: orNull(Type.Integer({ minimum: 0, maximum: 127 }), 'Q.850 cause, or null when none is known.'),
    why: Type.String({ description: 'Stable code that says why the trial ended so (docs/errors.md).' }),
  },
  'One trial of a route, in the order in which they were made.',
)

export const CdrMediaSide = record(
  {
    codec: Type.String({ description: 'Encoding name of RFC 4855, e.g. PCMA.' }),
    packets: Type.Integer({ minimum: 0, description: 'RTP packets received from this side.' }),
    lost: Type.Integer({ minimum: 0, description: 'RTP packets that this side sent and that did not arrive.' }),
    jitterMs: Type.Number({ minimum: 0, description: 'Interarrival jitter (RFC 3550 §6.4.1), in milliseconds.' }),
    mos: orNull(Type.Number({ minimum: 1, maximum: 5 }), 'Estimated listening quality (ITU-T G.107), or null.'),
  },
  'What one side sent, as our media gateway saw it.',
)

/** The call detail record as TypeBox declares it. Field order is that of the journal's lines. */
export const CdrSchema = record(
  {
    sequence: Type.Integer({ minimum: 1, description: 'Number of the record on its node: from 1, without a gap.' }),
    nodeId: Type.String({ description: 'Node that wrote the record; with `sequence` it names the record.' }),
    type: CdrType,
    callId: Type.String({ description: 'Our identifier of the call; the same in each of its records.' }),
    legs: Type.Array(CdrLeg, { description: 'SIP legs: the caller first, then each callee that had a dialog.' }),
    caller: Type.String({
      description: 'Authenticated caller as a SIP URI, or what the trunk group asserted (RFC 3325).',
    }),
    callee: Type.String({ description: 'Request-URI as the caller sent it.' }),
    callerNumber: orNull(Type.String(), "Caller's number, in E.164 where it is known, or null."),
    calledNumber: orNull(Type.String(), 'Called number as routing took it, or null when the call was to a name.'),
    translations: Type.Array(Type.String(), { description: 'What was done to the numbers, in order.' }),
    ingressTrunkGroup: orNull(Type.String(), 'Trunk group that the call came from, or null for a subscriber.'),
    egressTrunkGroup: orNull(Type.String(), 'Trunk group that carried the call, or null.'),
    routesTried: Type.Array(CdrRouteTried, { description: 'Every trial, in order.' }),
    invitedAt: wallMs('When the INVITE came'),
    policyMs: Type.Number({
      minimum: 0,
      description: 'From the INVITE to the decision where the call goes, in milliseconds.',
    }),
    alertingMs: orNull(Type.Number({ minimum: 0 }), 'From the INVITE to the first ringing, in milliseconds, or null.'),
    answeredAt: orNull(wallMs(''), 'When the call was answered, in milliseconds since 1970-01-01T00:00:00Z, or null.'),
    endedAt: orNull(
      wallMs(''),
      'When the call or the attempt ended, in milliseconds since 1970-01-01T00:00:00Z, or null.',
    ),
    durationMs: orNull(
      Type.Number({ minimum: 0 }),
      'From answer to end, in milliseconds; in an INTERMEDIATE so far; null when never answered or just begun.',
    ),
    releaseParty: orNull(
      Type.Enum(['caller', 'callee', 'switch']),
      'Who ended it, or null while it lasts. `switch`: a timer, a limit, an operator or a fault on our side.',
    ),
    sipStatus: orNull(Type.Integer({ minimum: 100, maximum: 699 }), 'Final status that the caller got, or null.'),
    q850Cause: orNull(Type.Integer({ minimum: 0, maximum: 127 }), 'Q.850 cause of the end, or null.'),
    releaseCode: orNull(Type.String(), 'Stable code of the end (docs/errors.md), or null while the call lasts.'),
    media: orNull(
      record(
        { caller: orNull(CdrMediaSide, "The caller's side."), callee: orNull(CdrMediaSide, "The callee's side.") },
        'Media of each side.',
      ),
      'Media of each side, or null when it goes end to end and we do not see it.',
    ),
    configVersion: Type.String({ description: 'Configuration that decided: its version.' }),
  },
  'A call detail record.',
)

/** One call detail record. Meaning and units of each field: the descriptions above and docs/cdr.md. */
export type Cdr = DeepReadonly<Static<typeof CdrSchema>>
