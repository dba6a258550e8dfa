// The HTTP interface of one machine: health, metrics, the read API, sign-in, and the status page.

import { readFileSync } from 'node:fs'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { freshSecret, type HttpAccess, SESSION_LIFETIME_MS } from '#host/http-access.ts'
import { prometheusText } from '#host/http-metrics.ts'
import type { CounterRow, Question } from '#host/supervisor-channel.ts'

const BODY_OCTETS_MAX = 64 * 1_024
const HEADER_OCTETS_MAX = 16 * 1_024
const REQUEST_MAX_MS = 15_000
const CONNECTIONS_MAX = 500
/** Rows of one answer. */
export const ROWS_MAX = 1_000
const ROWS_DEFAULT = 100
const SESSION_COOKIE = 'carillon_session'
const COOKIE_OCTETS_MAX = 4_096

/** Where the answers come from. None of these throws; null means that the switch gave no answer. */
export interface HttpSources {
  health(): { readonly up: boolean; readonly reason: string }
  status(): object
  ask(question: Question, limit: number): Promise<unknown>
  counters(): Promise<readonly CounterRow[]>
  cdrs(limit: number, before: number): Promise<readonly object[]>
  drain(): void
  /** A fault of ours while answering; the asker got `reference`. */
  onFault(reference: string, error: unknown): void
}

/** An error answer: `{"error": {"code", "message"}}`. Codes are listed in docs/errors.md. */
class HttpProblem extends Error {
  readonly statusCode: number
  readonly code: string

  constructor(statusCode: number, code: string, message: string) {
    super(message)
    this.statusCode = statusCode
    this.code = code
  }
}

const MALFORMED_BODY =
  '{"error":{"code":"HTTP_MALFORMED","message":"this is not HTTP/1.1, or its headers are too large"}}'
const MALFORMED_ANSWER =
  'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/json\r\n' +
  `Content-Length: ${MALFORMED_BODY.length}\r\n\r\n${MALFORMED_BODY}`

const ASSETS: readonly { path: string; file: string; type: string }[] = [
  { path: '/page.css', file: 'page.css', type: 'text/css; charset=utf-8' },
  { path: '/page.js', file: 'page.js', type: 'text/javascript; charset=utf-8' },
  { path: '/icon.svg', file: 'icon.svg', type: 'image/svg+xml' },
]

const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
}

const ROWS_QUERY = {
  type: 'object',
  additionalProperties: false,
  properties: { limit: { type: 'integer', minimum: 1, maximum: ROWS_MAX, default: ROWS_DEFAULT } },
}
const CDRS_QUERY = {
  ...ROWS_QUERY,
  properties: {
    ...ROWS_QUERY.properties,
    before: { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER, default: Number.MAX_SAFE_INTEGER },
  },
}

/** Builds the server; the caller listens and closes. */
export function httpServer(sources: HttpSources, access: HttpAccess): FastifyInstance {
  const app = fastify({
    logger: false,
    bodyLimit: BODY_OCTETS_MAX,
    requestTimeout: REQUEST_MAX_MS,
    forceCloseConnections: true,
    clientErrorHandler: (_error, socket) => {
      if (socket.writable) socket.end(MALFORMED_ANSWER)
    },
    http: { maxHeaderSize: HEADER_OCTETS_MAX, headersTimeout: REQUEST_MAX_MS },
    ajv: { customOptions: { removeAdditional: false, coerceTypes: true } },
    frameworkErrors: (error, _request, reply) =>
      sendError(reply, new HttpProblem(400, 'HTTP_BAD_REQUEST', error.message)),
  })
  app.server.maxConnections = CONNECTIONS_MAX
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers(SECURITY_HEADERS)
  })
  app.setErrorHandler((error, _request, reply) => sendError(reply, problemFromError(error, sources)))
  app.setNotFoundHandler((request, reply) => {
    sendError(reply, new HttpProblem(404, 'HTTP_NOT_FOUND', `there is no ${request.method} ${pathOf(request)}`))
  })
  addOpenRoutes(app, sources)
  addPage(app, access)
  addApi(app, sources, access)
  return app
}

/** What anybody may ask who reaches the address: no caller, number or name is in it. */
function addOpenRoutes(app: FastifyInstance, sources: HttpSources): void {
  app.get('/healthz', (_request, reply) => {
    const { up, reason } = sources.health()
    reply.code(up ? 200 : 503).send(up ? { status: 'up' } : { status: 'down', reason })
  })
  app.get('/metrics', async (_request, reply) => {
    reply.type('text/plain; version=0.0.4; charset=utf-8')
    return prometheusText(await sources.counters())
  })
}

function addPage(app: FastifyInstance, access: HttpAccess): void {
  const read = (file: string): string => readFileSync(new URL(`http-page/${file}`, import.meta.url), 'utf8')
  const page = read('page.html')
  const signInPage = read('sign-in.html')
  for (const { path, file, type } of ASSETS) {
    const content = read(file)
    app.get(path, (_request, reply) => reply.type(type).send(content))
  }
  app.get('/', (request, reply) => {
    reply.type('text/html; charset=utf-8')
    if (access.isSession(sessionOf(request), Date.now())) reply.send(page)
    else reply.code(401).send(signInPage)
  })
  app.get<{ Querystring: { code?: string } }>('/sign-in', (request, reply) => {
    const session = redeem(access, request)
    if (session === null) {
      reply.code(401).type('text/html; charset=utf-8').send(signInPage)
      return
    }
    const attributes = `Path=/; HttpOnly; SameSite=Strict; Max-Age=${SESSION_LIFETIME_MS / 1_000}`
    reply.header('set-cookie', `${SESSION_COOKIE}=${session}; ${attributes}`)
    // A page that moves on by itself, not a redirect: browsers hold back a strict cookie in the redirect of a foreign link.
    reply
      .type('text/html; charset=utf-8')
      .send('<!doctype html><meta http-equiv="refresh" content="0;url=/"><title>Carillon</title>')
  })
}

function redeem(access: HttpAccess, request: FastifyRequest<{ Querystring: { code?: string } }>): string | null {
  const nowMs = Date.now()
  const { code } = request.query
  if (typeof code !== 'string') return null
  const session = access.redeem(code, nowMs)
  if (session === null) access.countGuess(request.ip, nowMs)
  return session
}

function addApi(app: FastifyInstance, sources: HttpSources, access: HttpAccess): void {
  app.register(
    async (api) => {
      api.addHook('onRequest', async (request) => authorize(request, access))
      api.setNotFoundHandler((request, reply) => {
        sendError(reply, new HttpProblem(404, 'HTTP_NOT_FOUND', `there is no ${request.method} ${pathOf(request)}`))
      })
      api.get('/status', async () => sources.status())
      for (const question of ['calls', 'registrations'] as const) {
        api.get<{ Querystring: { limit: number } }>(
          `/${question}`,
          { schema: { querystring: ROWS_QUERY } },
          (request) => askRows(sources, question, request.query.limit),
        )
      }
      api.get<{ Querystring: { limit: number; before: number } }>(
        '/cdrs',
        { schema: { querystring: CDRS_QUERY } },
        async (request) => ({ items: await sources.cdrs(request.query.limit, request.query.before) }),
      )
      api.post('/reload', async () => reload(sources))
      api.post('/drain', async (_request, reply) => {
        sources.drain()
        reply.code(202)
        return { draining: true }
      })
      api.post('/sign-in-links', async () => ({ path: signInPath(access) }))
      api.post('/sign-out', async (request) => {
        access.endSession(sessionOf(request), Date.now())
        return { signedOut: true }
      })
    },
    { prefix: '/api/v1' },
  )
}

/** The path of a link that signs a browser in, once. */
export function signInPath(access: HttpAccess): string {
  return `/sign-in?code=${access.issueSignInCode(Date.now())}`
}

async function askRows(sources: HttpSources, question: Question, limit: number): Promise<object> {
  const items = await sources.ask(question, limit)
  if (items === null) throw new HttpProblem(503, 'SWITCH_NOT_ANSWERING', 'the switch does not answer; see /healthz')
  return { items }
}

async function reload(sources: HttpSources): Promise<unknown> {
  const answer = (await sources.ask('reload', 0)) as { ok: boolean; problems?: readonly string[] } | null
  if (answer === null) throw new HttpProblem(503, 'SWITCH_NOT_ANSWERING', 'the switch does not answer; see /healthz')
  if (!answer.ok) throw new HttpProblem(422, 'CONFIG_REFUSED', (answer.problems ?? []).join('\n'))
  return answer
}

/** A bearer token, or a browser's session: the latter only from our own pages where something is changed. */
function authorize(request: FastifyRequest, access: HttpAccess): void {
  const nowMs = Date.now()
  const bearer = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
  if (bearer !== undefined) {
    // The right token always opens: on the loopback address all share one address, and nobody must lock the others out.
    if (access.isAdminToken(bearer)) return
    if (access.isGuessing(request.ip, nowMs)) {
      throw new HttpProblem(429, 'HTTP_TOO_MANY_GUESSES', 'too many wrong tokens from this address; wait a minute')
    }
    access.countGuess(request.ip, nowMs)
    throw new HttpProblem(401, 'HTTP_UNAUTHENTICATED', 'the bearer token is wrong; it stands in DATA/admin.token')
  }
  if (!access.isSession(sessionOf(request), nowMs)) {
    const message = 'send "Authorization: Bearer …" with the token of DATA/admin.token, or sign in'
    throw new HttpProblem(401, 'HTTP_UNAUTHENTICATED', message)
  }
  if (request.method !== 'GET' && request.method !== 'HEAD' && !isOwnOrigin(request)) {
    throw new HttpProblem(403, 'HTTP_FOREIGN_ORIGIN', 'a browser session changes things from our own pages only')
  }
}

function isOwnOrigin(request: FastifyRequest): boolean {
  const { origin, host } = request.headers
  return origin !== undefined && host !== undefined && origin.replace(/^https?:\/\//, '') === host
}

function sessionOf(request: FastifyRequest): string {
  const cookies = request.headers.cookie ?? ''
  if (cookies.length > COOKIE_OCTETS_MAX) return ''
  for (const pair of cookies.split(';')) {
    const [name, value] = pair.trim().split('=', 2)
    if (name === SESSION_COOKIE && value !== undefined) return value
  }
  return ''
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? ''
}

/** What Fastify and its validation throw, under our codes. What only we can get wrong says nothing of our insides. */
function problemFromError(error: unknown, sources: HttpSources): HttpProblem {
  if (error instanceof HttpProblem) return error
  const { statusCode, message } = error as { statusCode?: number; message?: string }
  if (statusCode === 413) return new HttpProblem(413, 'HTTP_TOO_LARGE', `the body is over ${BODY_OCTETS_MAX} octets`)
  if (statusCode === 415) return new HttpProblem(415, 'HTTP_MEDIA_TYPE', 'send application/json')
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new HttpProblem(statusCode, 'HTTP_BAD_REQUEST', message ?? 'bad request')
  }
  const reference = freshSecret().slice(0, 8)
  sources.onFault(reference, error)
  return new HttpProblem(500, 'HTTP_INTERNAL', `an internal error; the log has it under reference ${reference}`)
}

function sendError(reply: FastifyReply, problem: HttpProblem): void {
  if (problem.statusCode === 401) reply.header('www-authenticate', 'Bearer')
  if (problem.statusCode === 429) reply.header('retry-after', '60')
  reply.code(problem.statusCode).send({ error: { code: problem.code, message: problem.message } })
}
