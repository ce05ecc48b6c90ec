import { type Report, SEVERITIES, type Severity } from '../domain/report.ts'

/**
 * How much a report matters to an output that has a minimum. Tampering is critical, as who works against the agent hides
 * the rest; but not what upgrades do, and people who edit the configuration. What cannot be seen is medium while it lasts. Undefined for what is not about the host.
 */
export function gravityOf(report: Report): Severity | undefined {
  switch (report.kind) {
    case 'incident':
    case 'alert':
      return report.severity
    case 'tamper':
      return report.severity ?? 'critical'
    case 'blind-spot':
      return report.isOngoing === true ? 'medium' : 'low'
    case 'pattern':
    case 'summary':
      return undefined
  }
}

/** Whether something is as grave as an output asks for. */
export const isAtLeast = (severity: Severity, least: Severity): boolean =>
  SEVERITIES.indexOf(severity) >= SEVERITIES.indexOf(least)
