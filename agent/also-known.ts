import { Baseline } from './baseline/baseline.ts'
import type { Edge } from './domain/edge.ts'
import { Naming } from './naming.ts'
import { peerOfNode } from './peers/names.ts'
import type { NetworkNames } from './peers/networks.ts'

/**
 * The edge under all names that it may be known by: as DNS, the configuration, patterns and whoever denied it call it; its
 * own first. The name of an edge that somebody has at hand is often that of one file, or an address.
 */
export function alsoKnownAs(
  path: string,
  edges: readonly Edge[],
  networks: NetworkNames,
  nowMs: number,
): readonly Edge[] {
  const baseline = new Baseline(path)
  try {
    const naming = new Naming(baseline, true, networks)
    return edges.flatMap((edge) => {
      const { address, port } = peerOfNode(edge.to) ?? {}
      const peer =
        address === undefined ? undefined : { address, port: port === '*' ? undefined : Number(port) }
      const names = naming.namesOf({ edge, peer }, nowMs).map((to) => ({ ...edge, to }))
      const denied = naming.deniedNameOf({ edge, peer }, nowMs)
      return denied === undefined || names.some(({ to }) => to === denied.to) ? names : [...names, denied]
    })
  } finally {
    baseline.close()
  }
}
