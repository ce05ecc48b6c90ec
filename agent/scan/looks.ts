import { UsageError } from '../domain/result.ts'

interface Wanted {
  readonly scan: { readonly interval: number; readonly expect_readonly_root: boolean }
  readonly processes: { readonly required: readonly unknown[] }
}

/**
 * Whatever only a look at the host can tell needs one: without it an alert that somebody counts on would never come.
 * @throws UsageError when there are no looks
 */
export function requireLooks({ scan, processes }: Wanted): void {
  if (scan.interval > 0) return
  if (processes.required.length > 0)
    throw new UsageError('nothing looks whether processes.required run while scan.interval is 0')
  if (scan.expect_readonly_root)
    throw new UsageError('nothing looks for scan.expect_readonly_root while scan.interval is 0')
}
