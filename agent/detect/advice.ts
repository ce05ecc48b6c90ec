import type { Finding } from '../domain/report.ts'
import type { Danger, DangerShape } from './dangers.ts'
import { filePathOf, networkPeerOf, processOf } from './nodes.ts'

/** Lines of advice that a person still reads. */
const MOST_ADVICE = 6
/** Names that a shell takes as they are; nobody pastes another one from a report. */
const HARMLESS = /^[\w/][\w./@%+,:-]*$/

/**
 * What to do about an incident, as commands, in order: look at what the log holds, then at what is still there, then
 * decide.
 *
 * @param id of the incident
 * @param gravest what it is about
 */
export function adviceOf(id: number, gravest: Finding, dangers: readonly Danger[]): readonly string[] {
  const { node, serial } = gravest.evidence
  const look = `ausearch --event ${serial}${node === '' || !HARMLESS.test(node) ? '' : ` --node ${node}`}`
  const shapes = dangers.flatMap(({ shape, findings }) =>
    findings.slice(0, 1).flatMap((finding) => ADVICE[shape](finding)),
  )
  const own = dangers.length === 0 ? plainAdvice(gravest) : []
  return [
    ...new Set([look, ...shapes, ...own].slice(0, MOST_ADVICE - 2)),
    `fullmon explain ${id}`,
    `fullmon accept ${id} (when it was meant to be)`,
  ]
}

type Advice = (finding: Finding) => readonly string[]

const process: Advice = ({ evidence: { pid } }) => (pid > 0 ? [`ls -l /proc/${pid}/exe /proc/${pid}/fd`] : [])
const unit: Advice = ({ evidence: { ppid } }) => (ppid > 1 ? [`systemctl status ${ppid}`] : [])
const sockets: Advice = ({ edge }) => {
  const peer = networkPeerOf(edge.to)
  return peer !== undefined && /^\d+$/.test(peer.port) ? [`ss -tunap | grep -F :${peer.port}`] : ['ss -tunap']
}

/** The file that was changed, or the program that was run. */
const file: Advice = ({ edge }) => {
  const path = filePathOf(edge.to) ?? ranBy(edge.to)
  return path === undefined || !path.startsWith('/') || !HARMLESS.test(path) ? [] : [`ls -l ${path}`]
}

function ranBy(name: string): string | undefined {
  const ran = processOf(name)
  return ran?.script.startsWith('/') === true ? ran.script : ran?.exe
}

const ADVICE: Readonly<Record<DangerShape, Advice>> = {
  'memory-exec': process,
  'deleted-exec': process,
  'shell-connects': (finding) => [...process(finding), ...sockets(finding)],
  'relay-connects': sockets,
  'relay-inside': process,
  'downloader-connects': sockets,
  'shell-listens': (finding) => [...sockets(finding), ...process(finding)],
  scan: process,
  'files-replaced': process,
  'setuid-file': file,
  'wrote-and-ran': file,
  'built-and-ran': file,
  'temporary-exec': file,
  'hidden-exec': file,
  'became-root': process,
  'service-shell': unit,
  'below-service': unit,
  'below-odd-shell': unit,
  'log-wiped': file,
  'sensitive-file': file,
  'web-page': file,
  'service-page': file,
  traced: process,
  'rights-tool': () => ['getcap -r / 2>/dev/null'],
  'module-load': () => ['lsmod'],
  'secret-named': process,
  'account-tool': () => ["awk -F: '$3 == 0' /etc/passwd"],
}

function plainAdvice(finding: Finding): readonly string[] {
  const { kind } = finding.edge
  return kind === 'connect' || kind === 'listen' || kind === 'accept' ? sockets(finding) : file(finding)
}
