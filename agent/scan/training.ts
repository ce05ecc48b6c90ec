import type { ProcessHabits } from '../domain/scan.ts'
import { habitName, likenessOf, portsHandedOut, withLook } from './habits.ts'
import { ProcessScanner, type ScanSettings } from './scanner.ts'

/** Kinds of processes that are learned at most: who makes names may not choose our memory. */
const MOST_NAMES = 20_000

/** Learns what processes are like by looking at them. */
export class HabitTraining {
  looks = 0
  readonly learned = new Map<string, ProcessHabits>()
  /** Names of processes that were suspicious, and are not learned from. */
  readonly suspicious = new Set<string>()
  private readonly scanner: ProcessScanner

  constructor(settings: ScanSettings) {
    this.scanner = new ProcessScanner(settings)
  }

  async look(): Promise<void> {
    const { processes, timeMs } = await this.scanner.look()
    const byPid = new Map(processes.map((process) => [process.pid, process]))
    const handedOut = portsHandedOut()
    this.looks++
    for (const process of processes) {
      // Nothing is known of it, or it is over.
      if (process.exe === '?') continue
      const name = habitName(process)
      if (process.isSuspicious) this.forget(name)
      else if (!this.suspicious.has(name) && (this.learned.has(name) || this.learned.size < MOST_NAMES)) {
        const likeness = likenessOf(process, byPid.get(process.ppid), handedOut)
        this.learned.set(name, withLook(this.learned.get(name), likeness, timeMs))
      }
    }
  }

  /** Who is suspicious once is not believed before, either. */
  private forget(name: string): void {
    this.learned.delete(name)
    this.suspicious.add(name)
  }
}
