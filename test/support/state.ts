import type {
  StateEntry,
  StateKind,
  StatesReader,
  StatesWriter,
  StateWriter,
} from '../../agent/domain/state.ts'

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

/** What the baseline does with the state of several machines. */
export class States {
  private readonly nodes = new Map<string, Map<string, string>>()

  readonly writer: StatesWriter = {
    of: (node) => ({
      put: (kind, key, value) => void this.rowsOf(node).set(`${kind} ${key}`, JSON.stringify(value)),
      remove: (kind, key) => void this.rowsOf(node).delete(`${kind} ${key}`),
    }),
    forget: (node) => void this.nodes.delete(node),
  }

  get reader(): StatesReader {
    return {
      of: (node) => (kind) => entriesOf(kind, this.nodes.get(node) ?? new Map<string, string>()),
      others: [...this.nodes.keys()].filter((node) => node !== ''),
    }
  }

  /** Everything, to be compared. */
  rows(kind: StateKind): StateEntry[] {
    return [...this.nodes].flatMap(([node, rows]) =>
      entriesOf(kind, rows).map(({ key, value }) => ({ key: `${node} ${key}`, value })),
    )
  }

  private rowsOf(node: string): Map<string, string> {
    let rows = this.nodes.get(node)
    if (rows === undefined) this.nodes.set(node, (rows = new Map<string, string>()))
    return rows
  }
}

const entriesOf = (kind: StateKind, rows: ReadonlyMap<string, string>): StateEntry[] =>
  [...rows]
    .filter(([place]) => place.startsWith(`${kind} `))
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([place, value]) => ({ key: place.slice(kind.length + 1), value: JSON.parse(value) as unknown }))
