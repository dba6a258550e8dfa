import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Compile } from 'typebox/compile'
import { loadConfig } from '#schema/config.ts'
import { configProblemText } from '#schema/config-problem.ts'
import { ConfigFile } from '#schema/config-schema.ts'
import { textFormat } from '#schema/text-formats.ts'
import { type SchemaNode, TEXT_LENGTH_MAX } from '#schema/yaml-reader.ts'

const DESIGN_EXAMPLE = `domain: example.net
sip:
  listen: ["udp:0.0.0.0:5060", "tcp:0.0.0.0:5060", "tls:0.0.0.0:5061"]
  advertise: 192.0.2.10            # optional public address
media:
  listen: 0.0.0.0
  advertise: 192.0.2.10
  ports: 20000-29999
  gateways: []
manager:
  listen: 127.0.0.1:8080
  database: embedded
cluster:
  store: embedded
subscribers:
  - {user: "1001", password: "Circle Of Life", number: "+12025550101", name: "Alice"}
trunkGroups:
  - {name: east, peers: ["192.0.2.30:5060"], channelsMax: 480, cpsMax: 50, direction: both}
  - {name: west, peers: ["sbc.example.com", "tls:[2001:db8::30]:5061"]}
routes:
  - {prefix: "+44", trunkGroups: [east, west]}
`

function load(text: string) {
  const result = loadConfig(text, 'test.yaml')
  assert.ok(result.ok, result.ok ? '' : result.problems.map(configProblemText).join('\n'))
  return result.config
}

/** "line:column code" of each problem. */
function problems(text: string): string[] {
  const result = loadConfig(text, 'test.yaml')
  assert.ok(!result.ok, 'expected problems')
  for (const problem of result.problems) assert.equal(problem.file, 'test.yaml')
  return result.problems.map(({ line, column, code }) => `${line}:${column} ${code}`)
}

test('the documented example loads', () => {
  const config = load(DESIGN_EXAMPLE)
  assert.equal(config.domain, 'example.net')
  assert.equal(config.sip.advertise, '192.0.2.10')
  assert.equal(config.trunkGroups[1]?.direction, 'both')
  assert.deepEqual(config.routes, [{ prefix: '+44', trunkGroups: ['east', 'west'] }])
})

test('a domain alone is a configuration: everything else has a default', () => {
  const config = load('domain: Example.NET\n')
  assert.equal(config.domain, 'example.net')
  assert.deepEqual(config.sip.listen, ['udp:0.0.0.0:5060', 'tcp:0.0.0.0:5060'])
  assert.equal(config.sip.sessionExpiresS, 1800)
  assert.equal(config.sip.tls.certificate, null)
  assert.deepEqual(config.access.algorithms, ['SHA-256', 'MD5'])
  assert.equal(config.cdr.intermediateS, 900)
  assert.deepEqual(config.subscribers, [])
  assert.deepEqual(load('domain: example.net\nsip:\naccess: ~\n'), config)
})

test('the domain is canonical, and the default registration lies within its bounds', () => {
  assert.equal(load('domain: Example.NET.\n').domain, 'example.net')
  assert.equal(load('domain: "2001:DB8::0:1"\n').domain, '[2001:db8::1]')
  assert.equal(load('domain: 192.0.2.1\naccess: {expiresMaxS: 600}\n').access.expiresDefaultS, 600)
})

test('a loaded configuration passes the compiled schema', () => {
  const { subscribers, ...rest } = load(DESIGN_EXAMPLE)
  assert.equal(subscribers.length, 1)
  assert.ok(Compile(ConfigFile).Check({ ...rest, subscribers: [] }))
})

test('the clear password is dropped and its HA1 values are kept (RFC 7616 §3.4.2)', () => {
  const config = load('domain: example.org\nsubscribers: [{user: Mufasa, password: Circle of Life}]\n')
  // printf 'Mufasa:example.org:Circle of Life' | md5sum, | sha256sum
  assert.deepEqual(config.subscribers[0], {
    user: 'Mufasa',
    ha1: 'f0b7a5e1e51d13ac7eba63ea124d95f4',
    ha1Sha256: '0158792b824c4573fdbac902e901bfa206aee8cc00ec214b7705e7383b12bbfe',
    number: null,
    name: null,
  })
  assert.ok(!JSON.stringify(config).includes('Circle'))
})

test('HA1 values are taken in place of a password, in either case of letters', () => {
  const md5 = 'ABCDEF0123456789abcdef0123456789'
  const config = load(`domain: a.net\nsubscribers: [{user: u, ha1: "${md5}"}, {user: v, ha1Sha256: "${md5}${md5}"}]\n`)
  assert.equal(config.subscribers[0]?.ha1, md5.toLowerCase())
  assert.equal(config.subscribers[0]?.ha1Sha256, null)
  assert.equal(config.subscribers[1]?.ha1, null)
  assert.equal(config.subscribers[1]?.ha1Sha256, (md5 + md5).toLowerCase())
})

test('anchors and aliases stand for what they name', () => {
  const config = load(
    'domain: a.net\ntrunkGroups:\n- {name: e, peers: &p ["192.0.2.1"], direction: out}\n- {name: w, peers: *p}\n',
  )
  assert.deepEqual(config.trunkGroups[1]?.peers, ['192.0.2.1'])
})

const GROUPS = 'trunkGroups: [{name: east, peers: ["192.0.2.30:5060"]}]\n'

/** What is wrong, the text after the line `domain: a.net`, and what is found. */
const CASES: readonly (readonly [string, string, readonly string[]])[] = [
  ['an unknown key', 'sbscribers: []', ['2:1 CONFIG_UNKNOWN_KEY']],
  ['an unknown key in a section', 'sip:\n  lisen: []', ['3:3 CONFIG_UNKNOWN_KEY']],
  [
    'an unknown key in a list entry',
    `routes:\n  - {prefx: "+1", trunkGroups: [east]}\n${GROUPS}`,
    ['3:5 CONFIG_MISSING_KEY', '3:6 CONFIG_UNKNOWN_KEY'],
  ],
  ['a merge key', 'sip: {<<: {}}', ['2:7 CONFIG_UNKNOWN_KEY']],
  ['a key of Object.prototype', 'constructor: 1', ['2:1 CONFIG_UNKNOWN_KEY']],
  ['a mapping as a key', '? {a: 1}\n: 2', ['2:3 CONFIG_UNKNOWN_KEY']],
  ['a key that stands twice', 'sip: {}\nsip: {}', ['3:1 CONFIG_DUPLICATE_KEY']],
  ['broken YAML', 'sip: {listen: [', ['3:1 CONFIG_SYNTAX', '3:1 CONFIG_SYNTAX']],
  ['a tab for indentation', 'sip:\n\tlisten: []', ['3:1 CONFIG_SYNTAX']],
  ['an unknown tag', 'sip: !secret {}', ['2:6 CONFIG_SYNTAX']],
  ['a second document', '---\ndomain: b.net', ['2:1 CONFIG_SYNTAX']],
  ['an alias without an anchor', 'sip: *nobody', ['2:6 CONFIG_SYNTAX']],
  ['a list where a mapping belongs', 'sip: []', ['2:6 CONFIG_TYPE']],
  ['text where a list belongs', 'sip: {listen: "udp:0.0.0.0:5060"}', ['2:15 CONFIG_TYPE']],
  ['a number where text belongs', 'subscribers: [{user: 1001, password: x}]', ['2:22 CONFIG_TYPE']],
  ['an unquoted prefix', `routes:\n- prefix: +44\n  trunkGroups: [east]\n${GROUPS}`, ['3:11 CONFIG_TYPE']],
  ['text where a number belongs', 'cdr: {intermediateS: often}', ['2:22 CONFIG_TYPE']],
  ['a fraction', 'cdr: {intermediateS: 1.5}', ['2:22 CONFIG_TYPE']],
  ['text where true or false belongs', 'sip: {tls: {verifyClients: perhaps}}', ['2:28 CONFIG_TYPE']],
  ['nothing where text belongs', 'trunkGroups: [{name: , peers: [a.b]}]', ['2:22 CONFIG_TYPE']],
  ['a number out of range', 'access: {contactsMax: 0}', ['2:23 CONFIG_RANGE']],
  ['an empty list', 'sip: {listen: []}', ['2:15 CONFIG_RANGE']],
  ['an empty text', 'trunkGroups: [{name: "", peers: [a.b]}]', ['2:22 CONFIG_RANGE']],
  ['a text too long', `subscribers: [{user: u, password: x, name: "${'n'.repeat(65)}"}]`, ['2:44 CONFIG_RANGE']],
  ['an unknown word', 'call: {redirects: folow}', ['2:19 CONFIG_FORMAT']],
  ['a broken address', 'sip:\n  listen: ["udp:300.0.0.1:5060"]', ['3:12 CONFIG_FORMAT']],
  ['an unknown transport', 'sip:\n  listen: ["sctp:0.0.0.0:5060"]', ['3:12 CONFIG_FORMAT']],
  ['a port out of range', 'sip:\n  listen: ["udp:0.0.0.0:65536"]', ['3:12 CONFIG_FORMAT']],
  ['a host name to listen on', 'sip:\n  listen: ["udp:localhost:5060"]', ['3:12 CONFIG_FORMAT']],
  ['a broken peer', 'trunkGroups:\n  - name: e\n    peers: ["192.0.2.30:x"]', ['4:13 CONFIG_FORMAT']],
  ['a broken number', 'subscribers: [{user: u, password: x, number: "+1 202"}]', ['2:46 CONFIG_FORMAT']],
  ['a broken prefix', `routes: [{prefix: "44x", trunkGroups: [east]}]\n${GROUPS}`, ['2:19 CONFIG_FORMAT']],
  ['a broken port range', 'media: {ports: 29999-20000}', ['2:16 CONFIG_FORMAT']],
  ['a broken HA1', `subscribers: [{user: u, ha1: "${'g'.repeat(32)}"}]`, ['2:30 CONFIG_FORMAT']],
  ['a user that cannot stand in a digest', 'subscribers: [{user: "a:b", password: x}]', ['2:22 CONFIG_FORMAT']],
  [
    'a user that stands twice',
    'subscribers:\n- {user: u, password: x}\n- {user: u, password: y}',
    ['4:10 CONFIG_DUPLICATE'],
  ],
  [
    'a number that stands twice',
    'subscribers:\n- {user: u, password: x, number: "1"}\n- {user: v, password: y, number: "1"}',
    ['4:34 CONFIG_DUPLICATE'],
  ],
  [
    'a trunk group that stands twice',
    'trunkGroups:\n- {name: e, peers: [a.b]}\n- {name: e, peers: [a.c]}',
    ['4:10 CONFIG_DUPLICATE'],
  ],
  [
    'a peer that leads into two groups',
    'trunkGroups:\n- {name: e, peers: [a.b]}\n- {name: f, peers: [A.b]}',
    ['4:21 CONFIG_DUPLICATE'],
  ],
  ['a peer that stands twice in a group', 'trunkGroups: [{name: e, peers: [a.b, a.b]}]', ['2:38 CONFIG_DUPLICATE']],
  [
    'a prefix that stands twice',
    `routes:\n- {prefix: "1", trunkGroups: [east]}\n- {prefix: "1", trunkGroups: [east]}\n${GROUPS}`,
    ['4:12 CONFIG_DUPLICATE'],
  ],
  [
    'a trunk group twice in a route',
    `routes: [{prefix: "1", trunkGroups: [east, east]}]\n${GROUPS}`,
    ['2:44 CONFIG_DUPLICATE'],
  ],
  [
    'a listening point that stands twice',
    'sip: {listen: ["udp:1.2.3.4:5060", "udp:1.2.3.4:5060"]}',
    ['2:36 CONFIG_DUPLICATE'],
  ],
  ['an algorithm that stands twice', 'access: {algorithms: [MD5, MD5]}', ['2:28 CONFIG_DUPLICATE']],
  [
    'a trunk group that does not exist',
    `routes:\n  - prefix: "1"\n    trunkGroups: [east, wast]\n${GROUPS}`,
    ['4:25 CONFIG_REFERENCE'],
  ],
  ['no credentials', 'subscribers:\n  - user: u', ['3:5 CONFIG_MISSING_KEY']],
  [
    'a password and its digest',
    `subscribers: [{user: u, password: x, ha1: "${'0'.repeat(32)}"}]`,
    ['2:38 CONFIG_CONFLICT'],
  ],
  [
    'a digest that no algorithm uses',
    `access: {algorithms: [SHA-256]}\nsubscribers: [{user: u, ha1: "${'0'.repeat(32)}"}]`,
    ['3:25 CONFIG_CONFLICT'],
  ],
  [
    'the number of one as the user of another',
    'subscribers:\n- {user: u, password: x, number: "77"}\n- {user: "77", password: y}',
    ['3:34 CONFIG_CONFLICT'],
  ],
  ['a certificate without its key', 'sip: {tls: {certificate: a.pem}}', ['2:13 CONFIG_CONFLICT']],
  ['a key without its certificate', 'sip: {tls: {key: a.pem}}', ['2:13 CONFIG_CONFLICT']],
  ['a least above the most', 'access: {expiresMinS: 3000, expiresMaxS: 2000}', ['2:23 CONFIG_CONFLICT']],
  ['a session timer below its least', 'sip: {minSeS: 200, sessionExpiresS: 100}', ['2:15 CONFIG_CONFLICT']],
  ['a WebSocket listener', 'sip:\n  listen: ["wss:0.0.0.0:8443"]', ['3:12 CONFIG_UNSUPPORTED']],
  ['a WebSocket peer', 'trunkGroups: [{name: e, peers: ["wss:a.b"]}]', ['2:33 CONFIG_UNSUPPORTED']],
  ['a database server', 'manager: {database: "postgres://u:secret@db/x"}', ['2:21 CONFIG_UNSUPPORTED']],
  ['a Redis store', 'cluster: {store: "redis://db"}', ['2:18 CONFIG_UNSUPPORTED']],
  ['a media gateway over TLS', 'media: {gateways: ["tls:192.0.2.20:2223"]}', ['2:20 CONFIG_FORMAT']],
  ['a word that is no list', 'media: {gateways: some}', ['2:19 CONFIG_TYPE']],
]

for (const [name, text, expected] of CASES) {
  test(`${name} is reported where it stands`, () => {
    assert.deepEqual(problems(`domain: a.net\n${text}\n`), expected)
  })
}

test('a file without a domain says so at its begin', () => {
  assert.deepEqual(problems(''), ['1:1 CONFIG_MISSING_KEY'])
  assert.deepEqual(problems('# nothing\n'), ['1:1 CONFIG_MISSING_KEY'])
  assert.deepEqual(problems('sip: {}\n'), ['1:1 CONFIG_MISSING_KEY'])
  assert.deepEqual(problems('[]'), ['1:1 CONFIG_TYPE'])
})

test('all problems of a file are reported, in its order', () => {
  const text =
    'domain: a.net\nrotes: []\ncall: {redirects: x}\ncdr: {intermediateS: -1}\nroutes: [{prefix: "1", trunkGroups: [x]}]\n'
  assert.deepEqual(problems(text), [
    '2:1 CONFIG_UNKNOWN_KEY',
    '3:19 CONFIG_FORMAT',
    '4:22 CONFIG_RANGE',
    '5:38 CONFIG_REFERENCE',
  ])
})

test('a problem says what was expected and what is near', () => {
  const message = (text: string): string => {
    const result = loadConfig(`domain: a.net\n${text}\n`, 'c.yaml')
    assert.ok(!result.ok)
    return result.problems.map(configProblemText).join('\n')
  }
  assert.equal(
    message('sip: {lisen: []}'),
    'c.yaml:2:7: sip.lisen: unknown key; did you mean "listen"? [CONFIG_UNKNOWN_KEY]',
  )
  assert.match(message('cluster: {zzzzzz: 1}'), /unknown key; expected one of store/)
  assert.match(
    message('call: {redirects: folow}'),
    /expected follow, pass, refuse, found "folow"; did you mean follow\?/,
  )
  assert.match(
    message(`routes: [{prefix: "1", trunkGroups: [esat]}]\n${GROUPS}`),
    /no trunk group "esat"; did you mean "east"\?/,
  )
  assert.match(message(`routes: [{prefix: +44, trunkGroups: [east]}]\n${GROUPS}`), /put it in quotes: "\+44"/)
  assert.match(
    message('access: {contactsMax: 0}'),
    /access\.contactsMax: expected a whole number from 1 to 100, found 0/,
  )
})

test('no message repeats a secret', () => {
  const secrets = [
    'subscribers: [{user: u, password: 271828}]',
    'subscribers: [{user: u, password: [271828]}]',
    'subscribers: [{user: u, ha1: "271828zz271828zz271828zz271828zz"}]',
    'manager: {database: "mysql://u:271828@db"}',
    'manager: {database: "postgres://u:271828@db"}',
    'cluster: {store: "redis://:271828@db"}',
  ]
  for (const text of secrets) {
    const result = loadConfig(`domain: a.net\n${text}\n`, 'c.yaml')
    assert.ok(!result.ok)
    assert.ok(!JSON.stringify(result.problems).includes('271828'), text)
  }
})

test('aliases cannot make a small file large', () => {
  const groups = `&g [${new Array(16).fill('east').join(', ')}]`
  const routes = Array.from({ length: 20_000 }, (_, i) => `- {prefix: "${i}", trunkGroups: ${i === 0 ? groups : '*g'}}`)
  const result = loadConfig(`domain: a.net\n${GROUPS}routes:\n${routes.join('\n')}\n`, 'c.yaml')
  assert.ok(!result.ok)
  assert.ok(result.problems.some((problem) => problem.code === 'CONFIG_TOO_LARGE'))
  assert.ok(result.problems.length <= 1001)
})

test('an alias inside its own anchor ends', () => {
  assert.deepEqual(problems('domain: a.net\nsip: &a\n  tls: *a\n'), ['3:3 CONFIG_UNKNOWN_KEY'])
})

test('a file that is too long or nested too deeply is refused', () => {
  assert.deepEqual(problems(' '.repeat(TEXT_LENGTH_MAX + 1)), ['1:1 CONFIG_TOO_LARGE'])
  const deep = loadConfig('['.repeat(200_000), 'c.yaml')
  assert.ok(!deep.ok && deep.problems.length <= 1001)
})

test('every format that the schema names exists', () => {
  const walk = (schema: SchemaNode): void => {
    if (schema.format !== undefined) assert.ok(textFormat(schema.format), schema.format)
    for (const property of Object.values(schema.properties ?? {})) walk(property)
    for (const branch of schema.anyOf ?? []) walk(branch)
    if (schema.items !== undefined) walk(schema.items)
  }
  walk(ConfigFile as unknown as SchemaNode)
})

test('whatever a file contains, loading it answers with a configuration or with problems in its order', () => {
  const bits = [
    '{',
    '}',
    '[',
    ']',
    ':',
    ' ',
    '\n',
    '- ',
    '&a',
    '*a',
    '!t',
    '|',
    '>',
    '"',
    "'",
    '#',
    '? ',
    '%',
    '\t',
    '~',
    '---',
    'sip:',
    '\0',
    '\uE000',
  ]
  const edits = fc.array(
    fc.tuple(fc.nat(DESIGN_EXAMPLE.length), fc.nat(12), fc.oneof(fc.constantFrom(...bits), fc.string())),
    {
      maxLength: 4,
    },
  )
  fc.assert(
    fc.property(edits, (all) => {
      let text = DESIGN_EXAMPLE
      for (const [at, cut, bit] of all) text = text.slice(0, at) + bit + text.slice(at + cut)
      const result = loadConfig(text, 'c.yaml')
      if (result.ok) return
      const lines = text.split('\n')
      let last = { line: 1, column: 0 }
      assert.ok(result.problems.length > 0)
      for (const { line, column } of result.problems) {
        assert.ok(line > last.line || (line === last.line && column >= last.column))
        assert.ok(column >= 1 && column <= (lines[line - 1] ?? '').length + 1, `${line}:${column}`)
        last = { line, column }
      }
    }),
    { numRuns: 1000 },
  )
})
