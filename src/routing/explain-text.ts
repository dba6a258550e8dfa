// A routing decision in words: what `carillon route explain` prints.

import type { Decision } from '#routing/route.ts'

/** The decision and each step that led to it, in lines for a terminal. Made with `route(attempt, snapshot, true)`. */
export function explainText(decision: Decision): string {
  const lines = [`Result: ${resultText(decision)}`]
  if (decision.steps.length > 0) lines.push('', 'How it was found:')
  const width = Math.max(0, ...decision.steps.map((step) => step.text.length))
  decision.steps.forEach((step, i) => {
    lines.push(`${String(i + 1).padStart(3)}. ${step.text.padEnd(width)}  [${step.code}]`)
  })
  if (decision.outcome === 'trunk') {
    lines.push('', 'Peers, in the order of trial:')
    decision.targets.forEach(({ trunkGroup, peer, calledNumber }, i) => {
      lines.push(`${String(i + 1).padStart(3)}. ${calledNumber} to ${peer.text} of trunk group ${trunkGroup.name}`)
    })
  }
  return `${lines.join('\n')}\n`
}

function resultText(decision: Decision): string {
  switch (decision.outcome) {
    case 'subscriber': {
      const { name, user } = decision
      return `the telephones of subscriber ${user}${name === null ? '' : ` (${name})`} ring: ${decision.aor}`
    }
    case 'trunk': {
      const groups = [...new Set(decision.targets.map((target) => target.trunkGroup.name))]
      return `${decision.calledNumber} goes out over trunk group${groups.length > 1 ? 's' : ''} ${groups.join(', then ')}`
    }
    case 'service':
      return `${decision.calledNumber} is answered here: ${decision.service.service}`
    case 'reject':
      return `refused with ${decision.status} ${decision.reason} (${decision.code}, Q.850 cause ${decision.q850Cause})`
  }
}
