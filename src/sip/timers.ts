// Timer values of RFC 3261 §17.1.1.1 and Table 4, in milliseconds.

/** Round-trip time estimate. */
export const T1 = 500
/** Longest retransmit interval for non-INVITE requests and INVITE responses. */
export const T2 = 4_000
/** Longest time a message stays in the network. */
export const T4 = 5_000
/** Timers B, F, H, J, L, M: 64·T1. */
export const TRANSACTION_TIMEOUT = 64 * T1
/** Timer D on unreliable transports (§17.1.1.2: at least 32 s). */
export const TIMER_D = 32_000
