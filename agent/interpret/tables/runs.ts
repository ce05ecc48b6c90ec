/**
 * The form of the generated tables: runs of consecutive numbers, `first: 'name name …'`, so that the gaps of a table
 * cost nothing and stay visible.
 */
export type Runs = Readonly<Record<number, string>>

/** Each number with its name, in ascending order. */
export const numbered = (runs: Runs): (readonly [number, string])[] =>
  Object.entries(runs).flatMap(([first, names]) =>
    names.split(/\s+/).map((name, index) => [Number(first) + index, name] as const),
  )

/** Names by number, undefined in the gaps: for tables that start near 0 and are looked up for every record. */
export function listed(runs: Runs): readonly (string | undefined)[] {
  const names: (string | undefined)[] = []
  for (const [number, name] of numbered(runs)) {
    while (names.length < number) names.push(undefined)
    names.push(name)
  }
  return names
}
