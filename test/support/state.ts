import type { StateEntry, StateKind, StateWriter } from '../../agent/domain/state.ts'

/** What the baseline does with one kind of state: values become JSON, entries come in the order of their keys. */
export class StateTable implements StateWriter {
  private readonly rows = new Map<string, string>()
  private readonly kind: StateKind

  constructor(kind: StateKind) {
    this.kind = kind
  }

  put(kind: StateKind, key: string, value: unknown): void {
    if (kind !== this.kind) throw new Error(`${kind} is not ${this.kind}`)
    this.rows.set(key, JSON.stringify(value))
  }

  remove(kind: StateKind, key: string): void {
    if (kind !== this.kind) throw new Error(`${kind} is not ${this.kind}`)
    this.rows.delete(key)
  }

  entries(): StateEntry[] {
    return [...this.rows]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, value]) => ({ key, value: JSON.parse(value) as unknown }))
  }
}
