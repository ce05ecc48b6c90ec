import { z } from 'zod'
import { Network } from '../peers/addresses.ts'
import { AlertsConfig } from './alerts.ts'
import { HttpConfig } from './http.ts'
import { OutputsConfig } from './outputs.ts'
import { PortsConfig } from './ports.ts'
import { RulesConfig } from './rules.ts'
import { AllowlistConfig, ContainersConfig, ProcessesConfig, ScanConfig } from './scan.ts'
import { BROUGHT_BASELINE, DEFAULT_DB, DEFAULT_LOG } from './places.ts'

const YEAR_S = 365 * 86_400
const Path = z.string().min(1)
const Days = z.int().min(0).max(3650)

/** Distinct from addresses, and from other kinds of nodes: see architecture.md. */
const NetworkName = z
  .string()
  .regex(
    /^(?!(?:unix|vsock|packet|netlink|loopback|private|public|family-.*)$)[a-z][a-z0-9_]*(?:-[a-z0-9_]+)*$/,
    'expected a name of lower-case letters, digits and dashes that is none of another kind',
  )
const Cidr = z
  .string()
  .refine((text) => Network.of(text) !== undefined, 'expected a network such as 10.0.0.0/8')

/** The whole configuration. Keys without a section are options of `fullmon run`, too. */
export const Config = z.strictObject({
  auditd: Path.default(DEFAULT_LOG).describe(
    'log of auditd to follow; - reads standard input, relay what the plugin of auditd brings',
  ),
  db: Path.default(DEFAULT_DB).describe('the baseline; created when it is missing'),
  log: Path.optional()
    .describe('log file for people; rotated by size')
    .meta({ examples: ['/var/log/fullmon.log'] }),
  baseline: z
    .number()
    .min(0)
    .max(YEAR_S)
    .default(3600)
    .describe('seconds to learn before anything is reported'),
  'baseline-from': Path.optional()
    .describe(
      `a baseline, or an export of one, to take instead of training while there is none; else ${BROUGHT_BASELINE}, when that is there`,
    )
    .meta({ examples: ['/root/host.jsonl'] }),
  monitor: z
    .number()
    .min(0.1)
    .max(YEAR_S)
    .default(60)
    .describe('seconds after which unseen edges are reported'),
  rebase: z.boolean().default(false).describe('merge what was reported into the baseline'),
  'learn-degraded': z
    .boolean()
    .default(false)
    .describe('learn also from windows in which something was not seen'),
  'alerts-per-day': z
    .number()
    .min(0)
    .max(1_000_000)
    .default(10)
    .describe('incidents to expect on a day besides those that are surely bad'),
  'dormant-days': Days.default(30).describe(
    'days without a sighting after which the return of an edge is told; 0 for never',
  ),
  'expire-days': Days.default(180).describe(
    'days without a sighting after which an edge is forgotten; 0 for never',
  ),
  'dns-interface': z
    .string()
    // As the kernel takes it: dev_valid_name in net/core/dev.c.
    .regex(/^(?![-.]+$)[^-\s\/:][^\s\/:]{0,14}$/, 'expected the name of an interface, or any')
    .optional()
    .describe('interface on which DNS answers are captured, to name hosts; any for all')
    .meta({ examples: ['any'] }),
  networks: z
    .record(NetworkName, z.array(Cidr).min(1))
    .default({})
    .describe('names of networks, each with a list of them: hosts in a network are called by its name')
    .meta({ examples: [{ office: ['198.51.100.0/24', '2001:db8:1::/48'] }] }),
  profile: Path.optional()
    .describe('what counts where this file says nothing: a shipped profile by its name, or a path')
    .meta({ examples: ['production', './ours.yaml'] }),
  wait: z.number().min(0.01).max(60).default(0.5).describe('seconds between two looks at the log'),
  rules: RulesConfig.describe('what is told of at once, whatever is normal'),
  scan: ScanConfig.describe('how processes are judged'),
  allowlist: AllowlistConfig.describe('processes that are not suspicious'),
  processes: ProcessesConfig.describe('processes that may, and that must, run'),
  containers: ContainersConfig.describe('what containers write'),
  ports: PortsConfig.describe('ports by what they are used for'),
  alerts: AlertsConfig.describe('what stays open until somebody has seen to it'),
  http: HttpConfig.describe('where health, metrics and the API are served'),
  outputs: OutputsConfig.describe('where reports go'),
})
export type Config = Readonly<z.infer<typeof Config>>
