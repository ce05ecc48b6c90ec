import { join } from 'node:path'
import { statSync } from 'node:fs'
import type { OutputsConfig } from '../config/outputs.ts'
import type { Report } from '../domain/report.ts'
import { UsageError } from '../domain/result.ts'
import { ecsOf, type Origin } from '../report/ecs.ts'
import { noticeOf } from '../report/notice.ts'
import { type Carrier, Courier } from './courier.ts'
import { datagrams, SENDER_ARGV } from './datagrams.ts'
import { journalEntry } from './journal-entry.ts'
import type { Reach, Sink } from './sink.ts'
import { slackBody } from './slack-body.ts'
import { Spool } from './spool.ts'
import { syslogMessage } from './syslog-message.ts'
import { urlIn, urlOf, webhook } from './webhook.ts'

const BYTES_OF_MEGABYTE = 1024 * 1024
const OTHERS = 0o007

export interface OutputsOptions {
  readonly config: OutputsConfig
  /** Where what waits is kept. */
  readonly folder: string
  /** File that the configuration may be from. */
  readonly configFile: string | undefined
  readonly origin: Origin
  readonly pid: number
  readonly say: (text: string) => void
}

/**
 * All outputs that are switched on, besides the terminal and the log file.
 * @throws UsageError when one of them cannot begin
 */
export function openOutputs(options: OutputsOptions): Sink & { readonly reach: Reach } {
  const { config, say } = options
  const { syslog, journald, webhook: hook } = config
  const address = webhookAddress(config, options.configFile)
  const carriers = [
    { name: 'syslog', least: syslog.min_severity, carrier: syslog.enabled ? syslogOf(options) : undefined },
    {
      name: 'journald',
      least: journald.min_severity,
      carrier: journald.enabled ? journalOf(options) : undefined,
    },
    { name: 'webhook', least: hook.min_severity, carrier: address && webhookOf(address, options) },
  ]
  const spooled = carriers.flatMap(({ name, least, carrier }) =>
    carrier === undefined ? [] : [{ name, least, carrier, spool: spoolOf(name, options) }],
  )
  const couriers = spooled.map((each) => new Courier({ ...each, say }))
  return {
    reach: {
      sockets: [syslog, journald].filter(({ enabled }) => enabled).map(({ socket }) => socket),
      program: SENDER_ARGV,
      port: address === undefined ? undefined : portOf(address()),
    },
    offer: (report) => {
      for (const courier of couriers) courier.offer(report)
    },
    close: async () => {
      await Promise.all(couriers.map((courier) => courier.close()))
    },
  }
}

function spoolOf(name: string, { config, folder }: OutputsOptions): Spool {
  const file = join(folder, `${name}.queue`)
  try {
    return new Spool(file, config.queue_megabytes * BYTES_OF_MEGABYTE)
  } catch (error) {
    throw new UsageError(`cannot write ${file}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function syslogOf({ config, origin, pid }: OutputsOptions): Carrier {
  const { socket, facility, max_bytes: mostBytes } = config.syslog
  return datagrams({
    socket,
    messageOf: ({ report }) => {
      const notice = noticeOf(report)
      return notice && syslogMessage(notice, { facility, host: origin.host, pid, mostBytes })
    },
  })
}

const journalOf = ({ config }: OutputsOptions): Carrier =>
  datagrams({
    socket: config.journald.socket,
    messageOf: ({ report }) => {
      const notice = noticeOf(report)
      return notice && journalEntry(notice)
    },
  })

const portOf = ({ port, protocol }: URL): number => Number(port || (protocol === 'https:' ? 443 : 80))

function webhookOf(address: () => URL, { config, origin }: OutputsOptions): Carrier {
  const { body, timeout } = config.webhook
  const bodyOf = (report: Report): object | undefined => {
    if (body === 'json') return { host: origin.host, ...report }
    if (body === 'ecs') return ecsOf(report, origin)
    const notice = noticeOf(report)
    return notice && slackBody(notice, origin.host)
  }
  return webhook({
    url: address,
    timeoutMs: timeout * 1000,
    bodyOf: ({ report }) => bodyOf(report),
    userAgent: `fullmon/${origin.version}`,
  })
}

/**
 * The address that a webhook posts to, to be asked again each time; undefined when there is none.
 * @throws UsageError when it is wrong now: what is wrong later is waited for
 */
export function webhookAddress(
  { webhook: { url, url_file: file } }: OutputsConfig,
  configFile: string | undefined,
): (() => URL) | undefined {
  const address = file === undefined ? url && fromConfig(url, configFile) : (): URL => urlIn(file)
  if (address === undefined || address === '') return undefined
  address()
  return address
}

/** @throws UsageError when everybody may read it */
function fromConfig(url: string, configFile: string | undefined): () => URL {
  const found = configFile === undefined ? undefined : statSync(configFile, { throwIfNoEntry: false })
  if (found !== undefined && (found.mode & OTHERS) !== 0)
    throw new UsageError(
      `outputs.webhook.url is a secret, and everybody may read ${configFile}: chmod 640 ${configFile}, or use url_file`,
    )
  const parsed = urlOf(url, 'outputs.webhook.url')
  return () => parsed
}
