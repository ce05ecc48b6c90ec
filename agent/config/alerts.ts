import { z } from 'zod'
import { SEVERITIES } from '../domain/report.ts'

export const SeverityName = z.enum(SEVERITIES)

/** Section `alerts`. */
export const AlertsConfig = z
  .strictObject({
    min_severity: SeverityName.default('medium').describe('gravity from which an incident opens an alert'),
  })
  .prefault({})
