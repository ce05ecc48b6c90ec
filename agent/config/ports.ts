import { z } from 'zod'

const Port = z.int().min(1).max(65_535)
const Ports = z.array(Port)

const SETS = {
  web: Ports.default([80, 443, 8080, 8443]).describe('ports of web servers'),
  databases: Ports.default([
    1433, 1521, 3306, 5432, 5984, 6379, 7474, 8086, 9042, 9200, 9300, 11211, 27017, 27018, 28015,
  ]).describe('ports of databases'),
  development: Ports.default([
    3000, 3001, 4200, 5000, 5005, 5173, 5678, 8000, 8081, 8888, 9000, 9229,
  ]).describe('ports of servers, debuggers and notebooks of developers'),
  backdoors: Ports.default([1337, 4444, 4445, 5555, 6666, 6667, 12_345, 31_337, 31_338, 54_321]).describe(
    'ports that tools of intruders use unless told otherwise',
  ),
}

/** Section `ports`: in `watched`, the name of a set stands for its ports. */
export const PortsConfig = z
  .strictObject({
    ...SETS,
    watched: z
      .array(z.union([Port, z.enum(['web', 'databases', 'development', 'backdoors'])]))
      .default(['backdoors'])
      .describe('ports that nothing on this host should use: numbers, and names of the sets above'),
  })
  .transform((ports) => ({
    ...ports,
    watched: [...new Set(ports.watched.flatMap((each) => (typeof each === 'number' ? [each] : ports[each])))],
  }))
  .prefault({})
