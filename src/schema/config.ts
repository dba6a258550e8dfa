// Loads the configuration file: YAML against the schema, then what only the whole can show; passwords become HA1 values.

import { createHash } from 'node:crypto'
import { present } from '#core/assert.ts'
import { parseHost, parsePeerAddress } from '#schema/address.ts'
import type { ConfigProblem } from '#schema/config-problem.ts'
import { ConfigFile } from '#schema/config-schema.ts'
import type { DeepReadonly } from '#schema/deep-readonly.ts'
import { nearest } from '#schema/nearest.ts'
import { placeText, type SchemaNode, YamlReader } from '#schema/yaml-reader.ts'

/** A value that may be missing anywhere: what is left of a file that has problems. */
type Loose<T> = T extends readonly (infer E)[]
  ? readonly (Loose<E> | undefined)[]
  : T extends object
    ? { readonly [K in keyof T]?: Loose<T[K]> | undefined }
    : T

/** A subscriber as loaded: the password is gone, its digests stay (RFC 7616 §3.4.2, lower-case hexadecimal). */
export interface Subscriber {
  readonly user: string
  /** MD5(user:domain:password), or null when the file gave only `ha1Sha256`. */
  readonly ha1: string | null
  /** SHA-256(user:domain:password), or null when the file gave only `ha1`. */
  readonly ha1Sha256: string | null
  readonly number: string | null
  readonly name: string | null
}

/** A loaded configuration: the file with defaults filled in. Meaning of each key: docs/configuration.md. */
export type Config = DeepReadonly<Omit<ConfigFile, 'subscribers'>> & { readonly subscribers: readonly Subscriber[] }

export type ConfigResult =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] }

/**
 * Reads the text of a configuration file; `file` is its name, for messages. Either the whole is right, or all problems
 * are listed in the order of the file. Never throws for anything that a text can contain.
 */
export function loadConfig(text: string, file: string): ConfigResult {
  const reader = new YamlReader(text, file)
  const value = reader.read(ConfigFile as unknown as SchemaNode)
  if (value !== undefined) {
    const loose = value as Loose<ConfigFile>
    checkSip(loose, reader)
    checkBounds(loose, reader)
    checkSubscribers(loose, reader)
    checkTrunkGroups(loose, reader)
    checkRoutes(loose, reader)
    checkMedia(loose, reader)
    checkUnsupported(loose, reader)
  }
  if (reader.problems.length > 0 || value === undefined) {
    return { ok: false, problems: reader.problems.sort((a, b) => a.line - b.line || a.column - b.column) }
  }
  const checked = value as ConfigFile
  const { expiresMinS, expiresMaxS, expiresDefaultS } = checked.access
  const domain = domainText(checked.domain)
  const config: Config = {
    ...checked,
    domain,
    access: { ...checked.access, expiresDefaultS: Math.min(Math.max(expiresDefaultS, expiresMinS), expiresMaxS) },
    subscribers: checked.subscribers.map((entry) => digested(entry, domain)),
  }
  return { ok: true, config }
}

/** The domain as it stands in addresses of record and in the realm: canonical, IPv6 in brackets. */
function domainText(text: string): string {
  const host = present(parseHost(text), 'the domain was checked')
  return host.numeric === 6 ? `[${host.text}]` : host.text
}

/** HA1 values of RFC 7616 §3.4.2. The clear password is referred to by nobody after this. */
function digested(entry: ConfigFile['subscribers'][number], domain: string): Subscriber {
  const { user, number, name, password } = entry
  if (password === null) {
    return { user, ha1: lower(entry.ha1), ha1Sha256: lower(entry.ha1Sha256), number, name }
  }
  const secret = `${user}:${domain}:${password}`
  return {
    user,
    ha1: createHash('md5').update(secret).digest('hex'),
    ha1Sha256: createHash('sha256').update(secret).digest('hex'),
    number,
    name,
  }
}

function lower(hex: string | null): string | null {
  return hex === null ? null : hex.toLowerCase()
}

function checkSip(file: Loose<ConfigFile>, reader: YamlReader): void {
  const seen = new Set<string>()
  for (const [i, address] of (file.sip?.listen ?? []).entries()) {
    if (address === undefined) continue
    if (seen.has(address)) {
      reader.report(['sip', 'listen', i], 'CONFIG_DUPLICATE', `sip.listen[${i}]: ${address} stands here twice`)
    } else if (address.startsWith('wss:')) {
      reader.report(['sip', 'listen', i], 'CONFIG_UNSUPPORTED', `sip.listen[${i}]: wss needs a later version`)
    }
    seen.add(address)
  }
  const { certificate, key } = file.sip?.tls ?? {}
  if (typeof certificate === 'string' && key === null) {
    const message = 'sip.tls.key is missing: a certificate is of no use without its key'
    reader.report(['sip', 'tls', 'certificate'], 'CONFIG_CONFLICT', message, 'key')
  }
  if (typeof key === 'string' && certificate === null) {
    const message = 'sip.tls.certificate is missing: a key is of no use without its certificate'
    reader.report(['sip', 'tls', 'key'], 'CONFIG_CONFLICT', message, 'key')
  }
}

/** Pairs of numbers of which the first must not be above the second. */
function checkBounds(file: Loose<ConfigFile>, reader: YamlReader): void {
  const ordered = (section: 'sip' | 'access', low: string, high: string): void => {
    const values = file[section] as Readonly<Record<string, unknown>> | undefined
    const a = values?.[low]
    const b = values?.[high]
    if (typeof a !== 'number' || typeof b !== 'number' || a <= b) return
    const message = `${section}.${low} is ${a}, above ${section}.${high}, which is ${b}`
    reader.report([section, low], 'CONFIG_CONFLICT', message)
  }
  ordered('sip', 'minSeS', 'sessionExpiresS')
  ordered('access', 'expiresMinS', 'expiresMaxS')
  ordered('access', 'backOffMinS', 'backOffMaxS')
  const algorithms = file.access?.algorithms ?? []
  if (algorithms.length === 2 && algorithms[0] !== undefined && algorithms[0] === algorithms[1]) {
    const message = `access.algorithms[1]: ${algorithms[1]} stands here twice`
    reader.report(['access', 'algorithms', 1], 'CONFIG_DUPLICATE', message)
  }
}

function checkSubscribers(file: Loose<ConfigFile>, reader: YamlReader): void {
  const subscribers = file.subscribers ?? []
  const users = new Map<string, number>()
  const numbers = new Map<string, number>()
  for (let i = 0; i < subscribers.length; i++) {
    const subscriber = subscribers[i]
    if (subscriber === undefined) continue
    const { user, number } = subscriber
    if (typeof user === 'string') {
      const first = users.get(user)
      if (first === undefined) users.set(user, i)
      else duplicate(reader, ['subscribers', i, 'user'], `user ${user}`, ['subscribers', first])
    }
    if (typeof number === 'string') {
      const first = numbers.get(number)
      if (first === undefined) numbers.set(number, i)
      else duplicate(reader, ['subscribers', i, 'number'], `number ${number}`, ['subscribers', first])
    }
    checkCredentials(subscriber, i, file.access?.algorithms ?? [], reader)
  }
  for (const [number, i] of numbers) {
    const other = users.get(number)
    if (other !== undefined && other !== i) {
      const message = `subscribers[${i}].number: ${number} is the user name of subscribers[${other}], who would get its calls`
      reader.report(['subscribers', i, 'number'], 'CONFIG_CONFLICT', message)
    }
  }
}

function checkCredentials(
  subscriber: Loose<ConfigFile['subscribers'][number]>,
  index: number,
  algorithms: readonly (string | undefined)[],
  reader: YamlReader,
): void {
  const { password, ha1, ha1Sha256 } = subscriber
  // A credential that is there but wrong has its own problem already.
  if (password === undefined || ha1 === undefined || ha1Sha256 === undefined) return
  const place = `subscribers[${index}]`
  if (password !== null) {
    const spare = ha1 !== null ? 'ha1' : ha1Sha256 !== null ? 'ha1Sha256' : null
    if (spare === null) return
    const message = `${place}.${spare}: give either password or ${spare}, not both`
    reader.report(['subscribers', index, spare], 'CONFIG_CONFLICT', message, 'key')
  } else if (ha1 === null && ha1Sha256 === null) {
    const message = `${place} has no credentials: give password, ha1 or ha1Sha256`
    reader.report(['subscribers', index], 'CONFIG_MISSING_KEY', message)
  } else if (!algorithms.includes('MD5') && !algorithms.includes(undefined) && ha1Sha256 === null) {
    const message = `${place}.ha1 is for MD5, which access.algorithms does not offer; give ha1Sha256`
    reader.report(['subscribers', index, 'ha1'], 'CONFIG_CONFLICT', message, 'key')
  } else if (!algorithms.includes('SHA-256') && !algorithms.includes(undefined) && ha1 === null) {
    const message = `${place}.ha1Sha256 is for SHA-256, which access.algorithms does not offer; give ha1`
    reader.report(['subscribers', index, 'ha1Sha256'], 'CONFIG_CONFLICT', message, 'key')
  }
}

function checkTrunkGroups(file: Loose<ConfigFile>, reader: YamlReader): void {
  const names = new Map<string, number>()
  // A request is recognised by its source address, so one peer cannot be the way into two groups.
  const ingress = new Map<string, number>()
  for (const [i, group] of (file.trunkGroups ?? []).entries()) {
    if (group === undefined) continue
    if (typeof group.name === 'string') {
      const first = names.get(group.name)
      if (first === undefined) names.set(group.name, i)
      else duplicate(reader, ['trunkGroups', i, 'name'], `name ${group.name}`, ['trunkGroups', first])
    }
    const own = new Set<string>()
    for (const [j, text] of (group.peers ?? []).entries()) {
      const peer = text === undefined ? null : parsePeerAddress(text)
      if (peer === null) continue
      const key = `${peer.transport ?? ''}|${peer.host}|${peer.port ?? ''}`
      const path = ['trunkGroups', i, 'peers', j]
      const first = ingress.get(key)
      if (peer.transport === 'wss') {
        reader.report(path, 'CONFIG_UNSUPPORTED', `${placeText(path)}: wss needs a later version`)
      } else if (own.has(key)) {
        reader.report(path, 'CONFIG_DUPLICATE', `${placeText(path)}: peer ${text} stands here twice`)
      } else if (group.direction !== 'out' && first !== undefined) {
        const hint = 'calls from it could belong to either; set direction: out on one of the groups'
        reader.report(
          path,
          'CONFIG_DUPLICATE',
          `${placeText(path)}: peer ${text} is in trunkGroups[${first}] too, so ${hint}`,
        )
      } else if (group.direction !== 'out') {
        ingress.set(key, i)
      }
      own.add(key)
    }
  }
}

function checkRoutes(file: Loose<ConfigFile>, reader: YamlReader): void {
  const names = new Set<string>()
  for (const group of file.trunkGroups ?? []) if (typeof group?.name === 'string') names.add(group.name)
  const prefixes = new Map<string, number>()
  const routes = file.routes ?? []
  for (let i = 0; i < routes.length; i++) {
    const route = routes[i]
    if (route === undefined) continue
    if (typeof route.prefix === 'string') {
      const first = prefixes.get(route.prefix)
      if (first === undefined) prefixes.set(route.prefix, i)
      else duplicate(reader, ['routes', i, 'prefix'], `prefix "${route.prefix}"`, ['routes', first])
    }
    const trunkGroups = route.trunkGroups ?? []
    for (let j = 0; j < trunkGroups.length; j++) {
      const name = trunkGroups[j]
      if (name === undefined) continue
      const path = ['routes', i, 'trunkGroups', j]
      if (!names.has(name)) {
        const near = nearest(name, names)
        const hint = near === null ? '' : `; did you mean "${near}"?`
        reader.report(path, 'CONFIG_REFERENCE', `${placeText(path)}: there is no trunk group "${name}"${hint}`)
      } else if (trunkGroups.indexOf(name) !== j) {
        reader.report(path, 'CONFIG_DUPLICATE', `${placeText(path)}: trunk group ${name} stands here twice`)
      }
    }
  }
}

function checkMedia(file: Loose<ConfigFile>, reader: YamlReader): void {
  const { gateways } = file.media ?? {}
  const places = new Map<string, number>()
  for (const [i, address] of gateways === 'none' ? [] : (gateways ?? []).entries()) {
    if (address === undefined) continue
    const [place = ''] = address.split(';')
    const first = places.get(place)
    if (first === undefined) places.set(place, i)
    else duplicate(reader, ['media', 'gateways', i], `gateway ${place}`, ['media', 'gateways', first])
  }
  const numbers = new Map<string, number>()
  for (const [i, entry] of (file.services ?? []).entries()) {
    const number = entry?.number
    if (typeof number !== 'string') continue
    const first = numbers.get(number)
    if (first === undefined) numbers.set(number, i)
    else duplicate(reader, ['services', i, 'number'], `number ${number}`, ['services', first])
  }
}

/** What is valid, and what this version cannot do. */
function checkUnsupported(file: Loose<ConfigFile>, reader: YamlReader): void {
  const { database } = file.manager ?? {}
  if (database !== undefined && database !== 'embedded') {
    const message = 'manager.database: a PostgreSQL database needs a later version; write embedded'
    reader.report(['manager', 'database'], 'CONFIG_UNSUPPORTED', message)
  }
  const { store } = file.cluster ?? {}
  if (store !== undefined && store !== 'embedded') {
    const message = 'cluster.store: a Redis store needs a later version; write embedded'
    reader.report(['cluster', 'store'], 'CONFIG_UNSUPPORTED', message)
  }
}

function duplicate(
  reader: YamlReader,
  path: readonly (string | number)[],
  what: string,
  first: readonly (string | number)[],
): void {
  reader.report(path, 'CONFIG_DUPLICATE', `${placeText(path)}: ${what} is that of ${placeText(first)} already`)
}
