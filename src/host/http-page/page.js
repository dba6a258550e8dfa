// The status page: asks the API every two seconds and shows what it says. Everything is set as text, never as markup.

const REFRESH_MS = 2_000
const ROWS = 25
const REQUEST_TERMINATED = 487

const $ = (id) => document.getElementById(id)

/** The first of `names` that the row has a value for. */
function first(row, ...names) {
  for (const name of names) if (row[name] !== undefined && row[name] !== null && row[name] !== '') return row[name]
  return null
}

function timeText(at) {
  const ms = typeof at === 'number' ? at : Date.parse(at ?? '')
  if (!Number.isFinite(ms) || ms <= 0) return '–'
  const date = new Date(ms)
  const today = date.toDateString() === new Date().toDateString()
  return today ? date.toLocaleTimeString() : date.toLocaleString()
}

function spanText(ms) {
  if (!Number.isFinite(ms) || ms < 0) return '–'
  const seconds = Math.floor(ms / 1_000)
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3_600) % 24,
    Math.floor(seconds / 60) % 60,
  ]
  if (days > 0) return `${days} d ${hours} h`
  if (hours > 0) return `${hours} h ${minutes} min`
  return minutes > 0 ? `${minutes}:${String(seconds % 60).padStart(2, '0')} min` : `${seconds} s`
}

const party = (row, side) => String(first(row, `${side}Number`, side) ?? '–')

const CALL_COLUMNS = [
  ['Caller', (row) => party(row, 'caller')],
  ['Called', (row) => (party(row, 'called') === '–' ? party(row, 'callee') : party(row, 'called'))],
  ['State', (row) => String(first(row, 'state') ?? '–')],
  ['Since', (row) => timeText(first(row, 'answeredAt', 'invitedAt', 'since', 'startedAt'))],
  ['Through', (row) => String(first(row, 'egressTrunkGroup', 'ingressTrunkGroup') ?? 'subscribers')],
  ['Call-ID', (row) => String(first(row, 'callId', 'id') ?? '–'), () => 'code'],
]

const REGISTRATION_COLUMNS = [
  ['Subscriber', (row) => String(first(row, 'user', 'aor', 'addressOfRecord') ?? '–')],
  ['Contact', (row) => String(first(row, 'contact', 'uri') ?? '–'), () => 'code'],
  ['From', (row) => String(first(row, 'source', 'received', 'flow') ?? '–'), () => 'code'],
  ['Over', (row) => String(first(row, 'transport') ?? '–')],
  ['Expires', (row) => expiryText(row)],
  ['Telephone', (row) => String(first(row, 'userAgent') ?? '–')],
]

const CDR_COLUMNS = [
  ['No.', (row) => String(row.sequence)],
  ['Type', (row) => String(first(row, 'type') ?? '–')],
  ['Caller', (row) => party(row, 'caller')],
  ['Called', (row) => (party(row, 'called') === '–' ? party(row, 'callee') : party(row, 'called'))],
  ['Begun', (row) => timeText(first(row, 'invitedAt'))],
  ['Talked', (row) => (first(row, 'durationMs') === null ? '–' : spanText(row.durationMs))],
  [
    'Result',
    (row) => [first(row, 'sipStatus'), first(row, 'releaseCode')].filter((part) => part !== null).join(' ') || '–',
    resultClass,
  ],
]

function expiryText(row) {
  const inS = first(row, 'expiresInS', 'expiresS')
  if (inS !== null) return `in ${spanText(inS * 1_000)}`
  const at = first(row, 'expiresAt')
  return at === null ? '–' : timeText(at)
}

function resultClass(row) {
  const status = Number(first(row, 'sipStatus'))
  if (!Number.isFinite(status) || status === 0) return ''
  // A caller who hangs up before the answer is nobody's fault.
  if (status === REQUEST_TERMINATED) return 'neutral'
  return status < 300 ? 'good' : 'bad'
}

function cell(tag, text, className = '') {
  const element = document.createElement(tag)
  element.textContent = text
  if (className !== '') element.className = className
  return element
}

function showTable(id, columns, rows, emptyText) {
  const place = $(id)
  if (rows.length === 0) {
    place.replaceChildren(cell('p', emptyText, 'empty'))
    return
  }
  const table = document.createElement('table')
  const head = table.createTHead().insertRow()
  for (const [title] of columns) head.append(cell('th', title))
  const body = table.createTBody()
  for (const row of rows) {
    const line = body.insertRow()
    for (const [, text, className] of columns) line.append(cell('td', text(row), className?.(row) ?? ''))
  }
  place.replaceChildren(table)
}

async function get(path) {
  const response = await fetch(path, { headers: { accept: 'application/json' } })
  if (response.status === 401) location.reload()
  if (!response.ok) throw new Error((await response.json()).error?.message ?? `HTTP ${response.status}`)
  return response.json()
}

/** The rows of a list, or none while the switch cannot tell. */
async function rowsOf(path) {
  try {
    return (await get(path)).items
  } catch {
    return []
  }
}

function showStatus(status) {
  const word = status.draining ? 'draining' : status.up ? 'up' : 'down'
  $('state').textContent = word === 'up' ? word : status.reason
  $('state').className = `state ${word}`
  $('calls-count').textContent = String(status.calls)
  $('registrations-count').textContent = String(status.registrations)
  $('uptime').textContent = spanText(status.uptimeMs)
  $('restarts').textContent = String(status.restarts)
  $('listening').replaceChildren(...status.listening.map((address) => cell('li', address)))
  $('version').textContent =
    `Version ${status.version}, domain ${status.domain}, configuration ${status.configVersion || '–'}`
}

async function refresh() {
  try {
    const [status, calls, registrations, cdrs] = await Promise.all([
      get('/api/v1/status'),
      rowsOf(`/api/v1/calls?limit=${ROWS}`),
      rowsOf(`/api/v1/registrations?limit=${ROWS}`),
      rowsOf(`/api/v1/cdrs?limit=${ROWS}`),
    ])
    showStatus(status)
    showTable('calls', CALL_COLUMNS, calls, 'No call is up.')
    showTable('registrations', REGISTRATION_COLUMNS, registrations, 'No telephone is registered yet.')
    showTable('cdrs', CDR_COLUMNS, cdrs, 'No call was recorded yet.')
    $('freshness').textContent = `as of ${new Date().toLocaleTimeString()}`
  } catch {
    $('state').textContent = 'no answer'
    $('state').className = 'state down'
  }
}

$('sign-out').addEventListener('click', async () => {
  await fetch('/api/v1/sign-out', { method: 'POST' })
  location.reload()
})

async function loop() {
  if (document.visibilityState === 'visible') await refresh()
  setTimeout(loop, REFRESH_MS)
}

loop()
