/** Bad input is a value; only a broken world is an exception. */
export type Result<T, E> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: E }

export const ok = <T>(value: T): { readonly ok: true; readonly value: T } => ({ ok: true, value })
export const fail = <E>(error: E): { readonly ok: false; readonly error: E } => ({ ok: false, error })

/** What the user asked for cannot be done; the message is one clear sentence. Ends the program with exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
