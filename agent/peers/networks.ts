import { Network } from './addresses.ts'

/** Names of networks by the administrator: `corp: [10.0.0.0/8, 2001:db8::/32]`. */
export type NetworkNames = Readonly<Record<string, readonly string[]>>

/** Networks that have a name in the configuration. */
export class Networks {
  private readonly named: readonly { readonly name: string; readonly networks: readonly Network[] }[]

  /** Names and networks have been checked; what is no network is none of any. */
  constructor(names: NetworkNames = {}) {
    this.named = Object.entries(names).map(([name, cidrs]) => ({
      name,
      networks: cidrs.map((cidr) => Network.of(cidr)).filter((network) => network !== undefined),
    }))
  }

  has(name: string): boolean {
    return this.named.some((each) => each.name === name)
  }

  /** The names of all networks that the address is in, in the order of the configuration. */
  namesOf(address: string): readonly string[] {
    return this.named
      .filter(({ networks }) => networks.some((network) => network.has(address)))
      .map(({ name }) => name)
  }
}
