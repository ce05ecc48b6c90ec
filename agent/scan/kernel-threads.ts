import type { SeenProcess } from './processes.ts'

/** Names that only threads of the kernel have, whichever of them run now. */
const FAMILIES =
  /^(?:kworker|kthreadd|ksoftirqd|migration|kswapd\d|kdevtmpfs|khugepaged|kcompactd\d|ksmd|kauditd|kblockd|kintegrityd|khungtaskd|oom_reaper|watchdogd?|writeback|cpuhp|idle_inject|irq|jbd2|rcu_(?:preempt|sched|bh|gp|par_gp|tasks\w*)|pool_workqueue_\w*|scsi_(?:eh|tmf)_\d+)(?=[/:+\-]|$)/

/**
 * Whether a process wants to be taken for a thread of the kernel: ps(1) prints the name of what has no command line in
 * brackets, and anybody can write brackets into his own.
 */
export function isDisguised(
  { argv: [first = ''], comm }: SeenProcess,
  kernelThreads: ReadonlySet<string>,
): boolean {
  const [, bracketed = ''] = /^\[([^\]]+)\]/.exec(first) ?? []
  if (kernelThreads.has(bracketed) || FAMILIES.test(bracketed)) return true
  // Without brackets a name needs more than a word that a program may have by chance.
  return /^(?:kworker\/|ksoftirqd\/|kthreadd$|migration\/|kdevtmpfs|cpuhp\/|kswapd\d)/.test(comm)
}
