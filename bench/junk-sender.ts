// Sends datagrams that are no SIP at a given rate: node junk-sender.ts HOST PORT PER_SECOND SECONDS. Prints how many went.

import { createSocket } from 'node:dgram'

const [host = '127.0.0.1', port = '5060', perSecond = '20000', seconds = '10'] = process.argv.slice(2)

/** What the open internet brings to port 5060, and what only an attacker sends. */
const JUNK: readonly Buffer[] = [
  Buffer.from('\r\n\r\n\r\n\r\n'),
  Buffer.from('GET / HTTP/1.1\r\nHost: example.com\r\n\r\n'),
  Buffer.from(Array.from({ length: 400 }, (_, n) => (n * 167 + 13) & 255)),
  Buffer.from('INVITE sip:100@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP'),
  Buffer.from('OPTIONS sip:nm SIP/2.0\r\n\r\n'),
  Buffer.from(`SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKnone\r\n${'X: y\r\n'.repeat(40)}\r\n`),
  Buffer.from(`REGISTER sip:127.0.0.1 SIP/2.0\r\nContent-Length: 99999999999999999999\r\n\r\n`),
  Buffer.alloc(1200, 0),
]

const socket = createSocket('udp4')
const start = performance.now()
const total = Number(perSecond) * Number(seconds)
let sent = 0
const pace = setInterval(() => {
  const due = Math.min(total, ((performance.now() - start) / 1000) * Number(perSecond))
  while (sent < due) {
    socket.send(JUNK[sent % JUNK.length] ?? '', Number(port), host)
    sent++
  }
  if (sent < total) return
  clearInterval(pace)
  socket.close(() => process.stdout.write(`${sent}\n`))
}, 1)
