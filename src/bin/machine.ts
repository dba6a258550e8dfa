// What we must know of the machine that we run on: its addresses and its name.

import { hostname, networkInterfaces } from 'node:os'

/** Interfaces that no telephone reaches: containers, virtual machines. */
const INNER_INTERFACE = /^(docker|br-|veth|virbr|cni|flannel|podman|lxc|tap)/

/** Numeric addresses of the machine, loopback and link-local ones too, without zone. */
export function localAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((entry) => entry.address))
}

/** The address that a telephone beside this machine would use: its first outer IPv4 address, else the loopback one. */
export function mainAddress(): string {
  for (const [name, entries] of Object.entries(networkInterfaces())) {
    if (INNER_INTERFACE.test(name)) continue
    const outer = entries?.find(
      (entry) => entry.family === 'IPv4' && !entry.internal && !entry.address.startsWith('169.254.'),
    )
    if (outer !== undefined) return outer.address
  }
  return '127.0.0.1'
}

/** All addresses with the main one first, as the switch prefers them for itself. */
export function machineAddresses(): string[] {
  const main = mainAddress()
  return [main, ...localAddresses().filter((address) => address !== main && !address.startsWith('fe80:'))]
}

/** The machine's name as far as it can stand in a record or a host name, lower case. */
export function machineName(): string {
  const name = hostname()
    .toLowerCase()
    .replace(/[^a-z0-9.-]/g, '-')
  return /^[a-z0-9]/.test(name) ? name.slice(0, 63) : 'carillon'
}
