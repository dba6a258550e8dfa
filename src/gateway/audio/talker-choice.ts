// Who talks in a room: the loudest for a while, who keeps the floor until somebody else is clearly louder for long enough.

/** Quieter than this nobody talks. */
const TALK_DBOV = -45
/** A new talker must be this much louder, for this long. A talker who falls silent keeps the floor for the hold time. */
const LOUDER_DB = 6
const TAKEOVER_MS = 200
const HOLD_MS = 1500
/** Smoothing of levels: about 150 ms. */
const RISE = 0.4
const FALL = 0.12
const SILENCE = -127

/** One party's place in the choice. The room keeps it beside the party. */
export class Talker {
  /** Smoothed level in dBov. */
  level = SILENCE
}

/** The choice of one room. A round is `observe` for each party, then `decide`. */
export class TalkerChoice {
  /** Who has the floor, or null. */
  current: Talker | null = null
  #loudest: Talker | null = null
  #rival: Talker | null = null
  #rivalMs = 0
  #quietMs = 0

  /** `levelDbov` of the party's frame; −127 when muted or nothing came. */
  observe(talker: Talker, levelDbov: number): void {
    talker.level += (levelDbov - talker.level) * (levelDbov > talker.level ? RISE : FALL)
    if (this.#loudest === null || talker.level > this.#loudest.level) this.#loudest = talker
  }

  /** Ends a round of `frameMs`; true when the floor has changed. */
  decide(frameMs: number): boolean {
    const loudest = this.#loudest
    this.#loudest = null
    const before = this.current
    if (before !== null) this.#quietMs = before.level < TALK_DBOV ? this.#quietMs + frameMs : 0
    if (loudest === null || loudest === before || loudest.level < TALK_DBOV) {
      this.#rival = null
    } else if (before === null || this.#quietMs > 0 || loudest.level > before.level + LOUDER_DB) {
      this.#rivalMs = this.#rival === loudest ? this.#rivalMs + frameMs : frameMs
      this.#rival = loudest
      if (before === null || this.#rivalMs >= TAKEOVER_MS) this.#take(loudest)
    }
    if (this.current === before && this.#quietMs >= HOLD_MS) this.#take(null)
    return this.current !== before
  }

  /** The party left. */
  remove(talker: Talker): void {
    if (this.current === talker) this.#take(null)
    if (this.#rival === talker) this.#rival = null
    if (this.#loudest === talker) this.#loudest = null
  }

  #take(talker: Talker | null): void {
    this.current = talker
    this.#rival = null
    this.#rivalMs = 0
    this.#quietMs = 0
  }
}
