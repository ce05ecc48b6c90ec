import { z } from 'zod'
import { SeverityName } from './alerts.ts'

/** Those of RFC 5424 that programs use. */
export const FACILITY_NAMES = [
  ...(['user', 'daemon', 'auth', 'authpriv'] as const),
  ...(['local0', 'local1', 'local2', 'local3', 'local4', 'local5', 'local6', 'local7'] as const),
] as const

/** A datagram may have no more; no receiver has to take less than the other. */
const MOST_BYTES = 65_000
const LEAST_BYTES = 480

const from = (severity: z.infer<typeof SeverityName>): ReturnType<typeof SeverityName.default> =>
  SeverityName.default(severity).describe('gravity from which something is told here')
const Socket = z.string().regex(/^\/.{0,106}$/, 'expected the whole path of a socket')

const Syslog = z
  .strictObject({
    enabled: z.boolean().default(false).describe('messages of RFC 5424'),
    min_severity: from('low'),
    facility: z.enum(FACILITY_NAMES).default('authpriv').describe('what kind of program tells it'),
    socket: Socket.default('/dev/log').describe('where the daemon listens'),
    max_bytes: z
      .int()
      .min(LEAST_BYTES)
      .max(MOST_BYTES)
      .default(8192)
      .describe('longer messages are cut: the daemon may do it worse'),
  })
  .prefault({})

const Journald = z
  .strictObject({
    enabled: z.boolean().default(false).describe('entries with fields, for journalctl'),
    min_severity: from('low'),
    socket: Socket.default('/run/systemd/journal/socket').describe('where the daemon listens'),
  })
  .prefault({})

const Webhook = z
  .strictObject({
    url: z
      .string()
      .regex(/^https?:\/\/[^\s]+$/, 'expected an address that begins with https:// or http://')
      .optional()
      .describe('server that is posted to; whoever knows it may post there, so url_file is the better place')
      .meta({ secret: true }),
    url_file: z
      .string()
      .min(1)
      .optional()
      .describe('file that holds the address, readable for its owner only'),
    body: z
      .enum(['slack', 'json', 'ecs'])
      .default('slack')
      .describe('what is posted: a message for Slack or Mattermost, the report itself, or its ECS names'),
    timeout: z.number().min(0.1).max(300).default(10).describe('seconds to wait for an answer'),
    min_severity: from('high'),
  })
  .refine(({ url, url_file: file }) => url === undefined || file === undefined, {
    path: ['url_file'],
    message: 'there is a url, too: one of them is enough',
  })
  .prefault({})

/** Section `outputs`. */
export const OutputsConfig = z
  .strictObject({
    terminal: z.strictObject({ min_severity: from('low') }).prefault({}),
    log: z.strictObject({ min_severity: from('low') }).prefault({}),
    syslog: Syslog.describe('messages to the syslog daemon of this host'),
    journald: Journald.describe('entries of the journal of systemd'),
    webhook: Webhook.describe('a server that is told by HTTP'),
    queue_megabytes: z
      .number()
      .min(0.1)
      .max(1024)
      .default(8)
      .describe('what may wait for each output on the disk, beside the baseline'),
  })
  .prefault({})

export type OutputsConfig = z.output<typeof OutputsConfig>
