// carillon route explain: where a call would go, by the very code that routes calls.

import { type Command, CommandProblem, FAILED, MISUSED, textOption } from '#bin/command.ts'
import { configOption, loadOrFail } from '#bin/config-source.ts'
import { explainText } from '#routing/explain-text.ts'
import { parseNumber } from '#routing/number.ts'
import { type Attempt, type Ingress, type RequestUriFacts, route } from '#routing/route.ts'
import type { Snapshot } from '#routing/snapshot.ts'
import { parseUri, unescapeUri } from '#sip/uri.ts'

/** The called party as a URI, a user name or a number. */
function requestUriFacts(to: string, domain: string): RequestUriFacts {
  if (!/^(sips?|tel):/i.test(to)) return { scheme: 'sip', user: to, host: domain, port: null, userIsPhone: false }
  const uri = parseUri(to)
  if (uri === null) throw new CommandProblem(`--to: '${to}' is not a sip, sips or tel URI`, MISUSED)
  const scheme = uri.scheme === 'tel' ? 'tel' : uri.scheme === 'sips' ? 'sips' : 'sip'
  const userIsPhone = scheme === 'tel' || /;user=phone(;|$)/i.test(uri.params)
  return { scheme, user: unescapeUri(uri.user), host: uri.host, port: uri.port, userIsPhone }
}

/** Who calls: the trunk group that is named, or the subscriber of that user name or number. */
function ingressOf(
  from: string,
  trunkGroup: string,
  snapshot: Snapshot,
): { ingress: Ingress; callerNumber: string | null } {
  const number = parseNumber(from)
  if (trunkGroup !== '') {
    if (snapshot.trunkGroup(trunkGroup) === null) throw new CommandProblem(`there is no trunk group '${trunkGroup}'`)
    return { ingress: { kind: 'trunkGroup', name: trunkGroup }, callerNumber: number }
  }
  const subscriber = snapshot.subscriberByUser(from) ?? (number === null ? null : snapshot.subscriberByNumber(number))
  if (subscriber === null) {
    throw new CommandProblem(
      `'${from}' is no subscriber; name the trunk group that the call comes from with --trunk-group`,
    )
  }
  return { ingress: { kind: 'subscriber', user: subscriber.user }, callerNumber: subscriber.number }
}

export const command: Command = {
  summary: 'explain where a call would go: route explain --from A --to B',
  usage: `explain --from A --to B [--trunk-group T] [--config FILE] [--data DIR] [--json]
  --from A         a subscriber's user name or number; with --trunk-group any number
  --to B           a user name, a number, or a sip, sips or tel URI
  --trunk-group T  the call comes from this trunk group
  --config FILE    configuration (default ./carillon.yaml, else the demonstration in the data folder)
  --data DIR       data folder (default ./data)
  --json           print the decision as JSON`,
  options: {
    from: { type: 'string' },
    to: { type: 'string' },
    'trunk-group': { type: 'string' },
    config: { type: 'string' },
    data: { type: 'string' },
    json: { type: 'boolean' },
  },
  words: [0, 1],
  async run(args) {
    const from = textOption(args, 'from', '')
    const to = textOption(args, 'to', '')
    if (args.words[0] !== 'explain' || from === '' || to === '')
      throw new CommandProblem(`usage: carillon route ${command.usage}`, MISUSED)
    const { snapshot } = loadOrFail(configOption(args))
    const caller = ingressOf(from, textOption(args, 'trunk-group', ''), snapshot)
    const attempt: Attempt = { ...caller, requestUri: requestUriFacts(to, snapshot.settings.domain) }
    const decision = route(attempt, snapshot, true)
    if (args.options['json'] === true) process.stdout.write(`${JSON.stringify(decision, null, 2)}\n`)
    else process.stdout.write(explainText(decision))
    return decision.outcome === 'reject' ? FAILED : 0
  },
}
